import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Pool, PoolError } from 'millpond'
import { between, connectErrorOf, emitSafely, retrying } from '../../../src/core/drop-in.ts'
import { holding, type HoldingWays } from '../../../src/core/holding.ts'
import type { Lease } from '../../../src/core/lease.ts'

describe('what faces in place of a driver’s own pool do alike', () => {
  const poolOf = (create: () => Promise<object>): Pool<object> =>
    new Pool({ kind: 'thing', create, destroy: () => undefined }, { name: 'things', max: 1, failFastWhenDown: true })

  it('gives the driver’s own error of a failed connect, with what the pool knows beside it', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    await using pool = poolOf(() => Promise.reject(refused))
    const error: unknown = await pool.acquire().catch((thrown: unknown) => thrown)
    expect(PoolError.is(error, 'ERR_POOL_DOWN')).toBe(true)
    expect(connectErrorOf(error)).toBe(refused)
    expect(Object.getOwnPropertyDescriptor(refused, 'pool')).toMatchObject({
      value: { name: 'things', code: 'ERR_POOL_DOWN' },
      enumerable: false,
    })
    expect(connectErrorOf(refused)).toBeUndefined()
    expect(connectErrorOf(undefined)).toBeUndefined()
  })

  it('says the pool’s errors in the driver’s words, and leaves the callback’s own as they are', async () => {
    const given: unknown[] = []
    const ways: HoldingWays<object> = {
      inWords: (error) => new Error(`in other words: ${(error as Error).message}`),
      giveBack(lease, error) {
        given.push(error)
        lease.release(error)
      },
    }
    await using pool = poolOf(() => Promise.resolve({}))
    const own = new Error('mine')
    const use = (callback: (thing: object, lease: Lease<object>) => unknown): Promise<unknown> =>
      holding(pool, pool.acquire(), callback, ways)
    await expect(use(() => Promise.reject(own))).rejects.toBe(own)
    expect(await use(() => 1)).toBe(1)
    // What the callback itself has given back is nobody's to give.
    expect(await use((_thing, lease) => lease.release())).toBeUndefined()
    expect(given).toEqual([own, undefined])
    await pool.close()
    await expect(use(() => 1)).rejects.toThrow('in other words')
  })

  it('goes on when a listener throws, and warns', async () => {
    const emitter = Object.assign(new EventEmitter(), { name: 'things' })
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    emitter.on('release', () => {
      throw new Error('not mine')
    })
    emitSafely(emitter, 'release', 1)
    expect(String(await warned)).toContain(`a listener of 'release' threw: Error: not mine`)
  })

  it('commits what succeeds, rolls back what fails, and keeps the first error when that fails too', async () => {
    const said: string[] = []
    const steps = (rollback: () => Promise<unknown>) => ({
      begin: () => Promise.resolve(said.push('begin')),
      commit: () => Promise.resolve(said.push('commit')),
      rollback: () => (said.push('rollback'), rollback()),
    })
    expect(
      await between(
        steps(() => Promise.resolve()),
        () => 7,
      ),
    ).toBe(7)
    const failure = new Error('the callback failed')
    const failing = between(
      steps(() => Promise.reject(new Error('the connection is gone'))),
      () => {
        throw failure
      },
    )
    await expect(failing).rejects.toBe(failure)
    expect(said).toEqual(['begin', 'commit', 'begin', 'rollback'])
  })

  it('fails where the server has not committed, with stacks that lead back to whoever asked', async () => {
    // As a driver makes it, where a socket is read.
    const socketError = new Error('refused')
    socketError.stack = 'Error: refused\n    at Socket.read'
    const steps = {
      begin: () => Promise.resolve(),
      commit: () => Promise.resolve('ROLLBACK'),
      rollback: () => Promise.resolve(),
    }
    const committed = (answer: string): void => {
      throw new Error(`the server said ${answer}`)
    }
    await expect(between({ ...steps, committed }, () => 1)).rejects.toThrow('the server said ROLLBACK')
    for (const failing of ['begin', 'commit']) {
      const error: unknown = await between({ ...steps, [failing]: () => Promise.reject(socketError) }, () => 1).catch(
        (reason: unknown) => reason,
      )
      expect(error).toBe(socketError)
      expect(socketError.stack).toContain('drop-in.test.ts')
      socketError.stack = ''
    }
  })

  it('runs again what may recover, as often as it is told', async () => {
    let runs = 0
    const run = (retries: number, message: string): Promise<unknown> => {
      runs = 0
      return retrying(
        retries,
        (error) => (error as Error).message === 'deadlock',
        () => {
          runs++
          return Promise.reject(new Error(message))
        },
      )
    }
    await expect(run(2, 'deadlock')).rejects.toThrow('deadlock')
    expect(runs).toBe(3)
    await expect(run(2, 'syntax')).rejects.toThrow('syntax')
    expect(runs).toBe(1)
    await expect(
      retrying(
        5,
        () => true,
        () => Promise.resolve(++runs),
      ),
    ).resolves.toBe(2)
  })
})
