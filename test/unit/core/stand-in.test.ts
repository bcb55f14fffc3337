import { describe, expect, it } from 'vitest'
import { LeaseReleasedError, Pool, type Lease } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import { refuseStale, staleError, staleRelease, standInFor } from '../../../src/core/stand-in.ts'

/** A driver's class, as drivers write them: fields, accessors, methods that read `this`. */
class Driver {
  static made = 0
  user: string | undefined = 'app'
  #calls = 0

  constructor() {
    Driver.made++
  }

  get calls(): number {
    return this.#calls
  }

  query(text: string, ...more: unknown[]): string {
    this.#calls++
    return [this.user, text, ...more].join(' ')
  }
}

interface Kind {
  readonly StandIn: new (resource: Driver | undefined) => { resource: Driver | undefined }
  standIn(resource: Driver | undefined): Driver
}

function setUp(): Kind {
  class StandIn {
    resource: Driver | undefined
    constructor(resource: Driver | undefined) {
      this.resource = resource
    }
  }
  const note = standInFor<Driver>(StandIn, Driver, (standIn) =>
    standIn instanceof StandIn && Object.hasOwn(standIn, 'resource') ? standIn.resource : undefined,
  )
  return {
    StandIn,
    standIn(resource) {
      if (resource !== undefined) note(resource)
      return new StandIn(resource) as unknown as Driver
    },
  }
}

describe('an object that stands for a connection', () => {
  it('is one of the driver’s class, without any being made', () => {
    const { StandIn, standIn } = setUp()
    const resource = new Driver()
    const made = Driver.made
    const own = standIn(resource)
    expect(own).toBeInstanceOf(Driver)
    expect(own).toBeInstanceOf(StandIn)
    expect(own.constructor).toBe(Driver)
    expect(Driver.made).toBe(made)
  })

  it('passes everything on: fields, accessors, and methods with their `this` and arguments', () => {
    const { standIn } = setUp()
    const resource = new Driver()
    const own = standIn(resource)
    expect(own.query('SELECT', 1)).toBe('app SELECT 1')
    const { query } = own
    expect(query('detached')).toBe('app detached')
    expect([own.calls, resource.calls]).toEqual([2, 2])
    own.user = 'other'
    expect([resource.user, own.user, own.query('x')]).toEqual(['other', 'other', 'other x'])
    expect(Object.hasOwn(own, 'user')).toBe(false)
  })

  it('gives one method for one method, also to two who stand for one, and the new one where it was replaced', () => {
    const { standIn } = setUp()
    const resource = new Driver()
    const own = standIn(resource)
    const { query } = own
    expect(own.query).toBe(query)
    expect(standIn(resource).query).toBe(query)
    expect(standIn(new Driver()).query).not.toBe(query)
    resource.query = () => 'patched'
    expect(own.query).not.toBe(query)
    expect(own.query('x')).toBe('patched')
  })

  it('knows the names of the class and of what every connection has', () => {
    const { standIn } = setUp()
    const own = standIn(new Driver())
    expect('query' in own).toBe(true)
    expect('user' in own).toBe(true)
    expect('nothing' in own).toBe(false)
  })

  it('is an empty one of its class where there is nothing behind it', () => {
    const { standIn } = setUp()
    const own = standIn(undefined)
    expect(own.user).toBeUndefined()
    expect(typeof own.query).toBe('function')
    expect(own.constructor).toBe(Driver)
    expect(() => {
      own.user = 'nobody'
    }).not.toThrow()
    class Other {
      resource = undefined
    }
    standInFor(Other, Driver, () => undefined)
    const other = new Other() as Other & { added?: string; user?: string }
    expect('user' in other).toBe(false)
    expect('query' in other).toBe(true)
  })

  it('lets a constructor be set, as libraries do that patch prototypes', () => {
    const { StandIn } = setUp()
    const { writable, configurable, enumerable } = Object.getOwnPropertyDescriptor(
      StandIn.prototype,
      'constructor',
    ) as PropertyDescriptor
    expect({ writable, configurable, enumerable }).toEqual({ writable: true, configurable: true, enumerable: false })
  })
})

describe('what comes to an object after its lease is over', () => {
  async function over(): Promise<Lease<object>> {
    const pool = new Pool<object>(new FakeFactory(), { name: 'orders', max: 1 })
    const lease = await pool.acquire({ label: 'report' })
    lease.release()
    await pool.close()
    return lease
  }
  const MESSAGE = 'pool "orders": a lease "report" was released: it was released before'

  it('is refused in the words of its driver, warned of, or ignored', async () => {
    const lease = await over()
    expect(() => staleRelease(lease, 'ignore', 'Twice')).not.toThrow()
    const thrown = (() => {
      try {
        staleRelease(lease, 'throw', 'Release called twice')
      } catch (error) {
        return error
      }
      return undefined
    })()
    expect(thrown).toBeInstanceOf(LeaseReleasedError)
    expect((thrown as Error).message).toBe(`Release called twice (${MESSAGE})`)
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    staleRelease(lease, 'warn', 'Release called twice')
    const warning = await warned
    expect([warning.name, warning.message]).toEqual(['MillpondWarning', MESSAGE])
  })

  it('hears it through its callback, not before the call is over, or as a rejection', async () => {
    const lease = await over()
    let heard: Error | undefined
    const callback = (error: Error): void => {
      heard = error
    }
    expect(refuseStale(lease, ['SELECT 1', callback])).toBeUndefined()
    expect(heard).toBeUndefined()
    await new Promise((resolve) => setImmediate(resolve))
    expect(heard?.message).toBe(MESSAGE)
    await expect(refuseStale(lease, ['SELECT 1'])).rejects.toThrow(MESSAGE)
  })

  it('has the error that the lease itself would have thrown', async () => {
    expect(staleError(await over())).toMatchObject({
      code: 'ERR_POOL_LEASE_RELEASED',
      pool: 'orders',
      message: MESSAGE,
    })
    expect(() => staleError({ release: () => undefined } as unknown as Lease<object>)).toThrow(
      'bug: a lease that is over could be released',
    )
    const other = new Error('other')
    const failing = {
      release: () => {
        throw other
      },
    }
    expect(() => staleError(failing as unknown as Lease<object>)).toThrow('bug: a lease that is over')
  })
})
