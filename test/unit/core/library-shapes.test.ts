import { describe, expect, it } from 'vitest'
import { LeaseReleasedError, type PoolStats } from 'millpond'
import { knexShape, sequelizeShape, type ShapedPool } from '../../../src/core/library-shapes.ts'

interface Borrowed {
  readonly id: number
  __knexUid?: string
  __knex__disposed?: unknown
}

/** A pool that notes what is asked of it. */
class Noted implements ShapedPool<Borrowed> {
  readonly said: string[] = []
  onGiveBack: () => void = () => undefined
  #ids = 0

  stats(): PoolStats {
    return { idle: 3, used: 2, waiting: 1 } as PoolStats
  }

  close(): Promise<unknown> {
    this.said.push('close')
    return Promise.resolve('closed')
  }

  take(): Promise<Borrowed> {
    return Promise.resolve({ id: ++this.#ids })
  }

  giveBack({ id }: Borrowed, how: 'release' | 'destroy'): void {
    this.said.push(`${how} ${id}`)
    this.onGiveBack()
  }
}

describe('a pool in the shape that Knex expects', () => {
  it('lends objects that it can name in its debug output, each by its own name, which stays', async () => {
    const shape = knexShape(new Noted())
    const [one, other] = [await shape.acquire().promise, await shape.acquire().promise]
    expect(one.__knexUid).toMatch(/^millpond\d+$/)
    expect(other.__knexUid).toMatch(/^millpond\d+$/)
    expect(one.__knexUid).not.toBe(other.__knexUid)
    const named = new Noted()
    named.take = () => Promise.resolve({ id: 9, __knexUid: 'its own' })
    expect((await knexShape(named).acquire().promise).__knexUid).toBe('its own')
  })

  it('takes each back once', async () => {
    const pool = new Noted()
    const shape = knexShape(pool)
    const borrowed = await shape.acquire().promise
    expect(shape.release({ id: 7 })).toBe(false)
    expect(shape.release(borrowed)).toBe(true)
    expect(shape.release(borrowed)).toBe(false)
    expect(pool.said).toEqual(['release 1'])
  })

  it('destroys what Knex has marked', async () => {
    const pool = new Noted()
    const shape = knexShape(pool)
    for (const mark of [new Error('broken'), true, false, undefined]) {
      const borrowed = await shape.acquire().promise
      borrowed.__knex__disposed = mark
      shape.release(borrowed)
    }
    expect(pool.said).toEqual(['destroy 1', 'destroy 2', 'release 3', 'release 4'])
  })

  it('says so where the pool has taken it away, and throws what else went wrong', async () => {
    const pool = new Noted()
    const shape = knexShape(pool)
    const [taken, other] = [await shape.acquire().promise, await shape.acquire().promise]
    pool.onGiveBack = () => {
      throw new LeaseReleasedError('orders', 'it is over')
    }
    expect(shape.release(taken)).toBe(false)
    pool.onGiveBack = () => {
      throw new Error('a bug')
    }
    expect(() => shape.release(other)).toThrow('a bug')
  })

  it('counts, and ends with its pool', async () => {
    const pool = new Noted()
    const shape = knexShape(pool)
    expect([shape.numFree(), shape.numUsed(), shape.numPendingAcquires()]).toEqual([3, 2, 1])
    await shape.destroy()
    expect(pool.said).toEqual(['close'])
  })
})

describe('a pool in the shape that Sequelize expects', () => {
  it('takes each back once, or destroys it', async () => {
    const pool = new Noted()
    const shape = sequelizeShape(pool)
    const [one, other] = [await shape.acquire(), await shape.acquire()]
    shape.release(one)
    shape.release(one)
    await shape.destroy(other)
    await shape.destroy(other)
    expect(pool.said).toEqual(['release 1', 'destroy 2'])
  })

  it('ends with its pool', async () => {
    const pool = new Noted()
    const shape = sequelizeShape(pool)
    await shape.drain()
    await shape.destroyAllNow()
    expect(pool.said).toEqual(['close', 'close'])
  })
})
