import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Pool, type Lease, type PoolOptions } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { checkInvariants, watchInvariants } from '../support/invariants.ts'

/** Everything a history can do to a pool. Numbers choose among what is there, modulo how much of it there is. */
type Command =
  | { do: 'acquire'; timeout: number; priority: number; abortable: boolean }
  | { do: 'try' }
  | {
      do:
        | 'release'
        | 'releaseBroken'
        | 'releaseError'
        | 'destroy'
        | 'stale'
        | 'abort'
        | 'die'
        | 'openCreate'
        | 'openValidate'
        | 'openReset'
      pick: number
    }
  | { do: 'failCreate'; pick: number; failure: 'disconnect' | 'auth' | 'saturated' | 'restart' | 'timeout' }
  | { do: 'failValidate' | 'failReset'; pick: number }
  | { do: 'advance' | 'stall' | 'freeze' | 'jump'; millis: number }
  | { do: 'invalidate'; interrupt: boolean; spread: number }
  | { do: 'suspend' | 'resume' }
  | { do: 'resize'; max: number; min: number }
  | { do: 'close'; timeout: number; reject: boolean }

const pick = fc.nat(20)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('acquire' as const),
      timeout: fc.constantFrom(0, 5, 50, 500, 5_000),
      priority: fc.constantFrom(0, 0, 0, 1, 2),
      abortable: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('try' as const) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'release' as const,
        'release' as const,
        'release' as const,
        'releaseBroken' as const,
        'releaseError' as const,
        'destroy' as const,
        'stale' as const,
      ),
      pick,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('abort' as const, 'die' as const), pick }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom('openCreate' as const, 'openCreate' as const, 'openValidate' as const, 'openReset' as const),
      pick,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('failCreate' as const),
      pick,
      failure: fc.constantFrom(
        'disconnect' as const,
        'auth' as const,
        'saturated' as const,
        'restart' as const,
        'timeout' as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('failValidate' as const, 'failReset' as const), pick }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      millis: fc.constantFrom(0, 1, 10, 100, 1_000, 10_000, 40_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('stall' as const, 'freeze' as const, 'jump' as const),
      millis: fc.constantFrom(20, 200, 3_000, 60_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('invalidate' as const),
      interrupt: fc.boolean(),
      spread: fc.constantFrom(0, 0, 1_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('suspend' as const, 'resume' as const, 'resume' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), max: fc.integer({ min: 1, max: 5 }), min: fc.nat(2) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('close' as const),
      timeout: fc.constantFrom(1, 1_000),
      reject: fc.boolean(),
    }),
  },
)

const options = fc.record({
  max: fc.integer({ min: 1, max: 4 }),
  min: fc.constantFrom(0, 0, 1),
  minIdle: fc.constantFrom(0, 0, 1),
  maxOverflow: fc.constantFrom(0, 0, 2),
  maxConnecting: fc.constantFrom(1, 2, 8),
  maxWaiting: fc.constantFrom(2, 10_000),
  maxUses: fc.constantFrom(Infinity, 2),
  order: fc.constantFrom('lifo' as const, 'fifo' as const),
  queue: fc.constantFrom('fifo' as const, 'fifo' as const, 'codel' as const),
  admission: fc.constantFrom('off' as const, 'off' as const, 'deadline' as const),
  growthHorizonMillis: fc.constantFrom(0, 0, 50, 'auto' as const),
  failFastWhenDown: fc.boolean(),
  idleTimeoutMillis: fc.constantFrom(0, 2_000, 600_000),
  maxLifetimeMillis: fc.constantFrom(10_000, 1_800_000),
  maxLeasesPerResource: fc.constantFrom(1, 1, 1, 3),
  maxUseMillis: fc.constantFrom(Infinity, Infinity, 5_000),
})

interface Held {
  readonly lease: Lease<FakeResource>
  readonly resource: FakeResource
}

/** Runs a history against a pool whose every step the history decides, and checks what must hold on the way. */
class Run {
  readonly clock = new ManualClock()
  readonly factory = new FakeFactory({ validates: true, resets: true })
  readonly validates: { open(): void; fail(): void }[] = []
  readonly resets: { open(): void; fail(): void }[] = []
  readonly held: Held[] = []
  readonly ended: Lease<FakeResource>[] = []
  readonly aborts: AbortController[] = []
  readonly pool: Pool<FakeResource>
  readonly watch: { failure: Error | undefined }
  settled = 0
  asked = 0
  /** How often somebody was handed what was gone: never. */
  dead = 0
  #closed = false

  constructor(given: PoolOptions<FakeResource>, seed: number) {
    this.factory.holdCreates()
    this.factory.onValidate = () => this.#gate(this.validates)
    this.factory.onReset = () => this.#gate(this.resets)
    let random = seed
    const { max = 10 } = given
    this.pool = new Pool(this.factory, {
      ...given,
      min: Math.min(given.min ?? 0, max),
      minIdle: Math.min(given.minIdle ?? 0, max),
      acquireTimeoutMillis: 500,
      clock: this.clock,
      random: () => (random = (random * 16_807) % 2_147_483_647) / 2_147_483_647,
    })
    this.watch = watchInvariants(this.pool)
    this.pool.on('overused', () => undefined)
    this.pool.on('failure', () => undefined)
  }

  #gate(gates: { open(): void; fail(): void }[]): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      gates.push({ open: resolve, fail: () => reject(new FakeError('disconnect')) })
    })
  }

  #acquire(timeoutMillis: number, priority: number, abortable: boolean): void {
    const controller = abortable ? new AbortController() : undefined
    if (controller !== undefined) this.aborts.push(controller)
    this.asked++
    void this.pool
      .acquire({ timeoutMillis, priority, signal: controller?.signal })
      .then(
        (lease) => {
          // It may be taken away again before its caller has a turn.
          if (lease.released) this.ended.push(lease)
          else this.#hold(lease)
        },
        () => undefined,
      )
      .finally(() => {
        this.settled++
      })
  }

  #hold(lease: Lease<FakeResource>): void {
    if (lease.resource.destroyed !== undefined) this.dead++
    this.held.push({ lease, resource: lease.resource })
  }

  /** Leases that the pool has not taken away meanwhile. */
  #live(): Held[] {
    for (let index = this.held.length - 1; index >= 0; index--) {
      const held = this.held[index]
      if (held?.lease.released) {
        this.held.splice(index, 1)
        this.ended.push(held.lease)
      }
    }
    return this.held
  }

  #take(picked: number): Held | undefined {
    const live = this.#live()
    const [held] = live.length === 0 ? [] : live.splice(picked % live.length, 1)
    if (held !== undefined) this.ended.push(held.lease)
    return held
  }

  async step(each: Command): Promise<void> {
    switch (each.do) {
      case 'acquire':
        this.#acquire(each.timeout, each.priority, each.abortable)
        break
      case 'try': {
        const lease = this.pool.tryAcquire()
        if (lease !== undefined) this.#hold(lease)
        break
      }
      case 'release':
        this.#take(each.pick)?.lease.release()
        break
      case 'releaseBroken': {
        const held = this.#take(each.pick)
        if (held !== undefined) {
          held.resource.broken = true
          held.lease.release()
        }
        break
      }
      case 'releaseError':
        this.#take(each.pick)?.lease.release(new FakeError(each.pick % 2 === 0 ? 'query' : 'disconnect'))
        break
      case 'destroy':
        this.#take(each.pick)?.lease.destroy()
        break
      case 'stale': {
        const before = JSON.stringify(this.pool.stats().destroyed)
        const lease = this.ended[each.pick % Math.max(1, this.ended.length)]
        if (lease !== undefined) expect(() => lease.release()).toThrow(/lease/)
        expect(JSON.stringify(this.pool.stats().destroyed)).toBe(before)
        break
      }
      case 'abort':
        this.aborts[each.pick % Math.max(1, this.aborts.length)]?.abort()
        break
      case 'die':
        this.factory.resources.filter(({ destroyed }) => destroyed === undefined)[each.pick]?.die()
        break
      case 'openCreate':
        this.factory.creates.splice(each.pick % Math.max(1, this.factory.creates.length), 1)[0]?.open()
        break
      case 'failCreate':
        this.factory.creates
          .splice(each.pick % Math.max(1, this.factory.creates.length), 1)[0]
          ?.fail(new FakeError(each.failure))
        break
      case 'openValidate':
        this.validates.splice(each.pick % Math.max(1, this.validates.length), 1)[0]?.open()
        break
      case 'failValidate':
        this.validates.splice(each.pick % Math.max(1, this.validates.length), 1)[0]?.fail()
        break
      case 'openReset':
        this.resets.splice(each.pick % Math.max(1, this.resets.length), 1)[0]?.open()
        break
      case 'failReset':
        this.resets.splice(each.pick % Math.max(1, this.resets.length), 1)[0]?.fail()
        break
      case 'advance':
        await this.clock.advance(each.millis)
        break
      case 'stall':
        await this.clock.stall(each.millis)
        break
      case 'freeze':
        await this.clock.freeze(each.millis)
        break
      case 'jump':
        this.clock.jumpWallClock(each.millis)
        break
      case 'invalidate':
        this.pool.invalidate({ interruptInUse: each.interrupt, spreadMillis: each.spread })
        break
      case 'suspend':
        this.pool.suspend()
        break
      case 'resume':
        this.pool.resume()
        break
      case 'resize':
        if (Math.max(each.min, this.pool.stats().min) <= each.max) this.#resize(each.max, each.min)
        break
      case 'close':
        this.#closed = true
        void this.pool.close({ timeoutMillis: each.timeout, waiters: each.reject ? 'reject' : 'serve' })
        break
    }
    await this.clock.settle()
    this.check()
  }

  #resize(max: number, min: number): void {
    try {
      this.pool.resize({ max, min: Math.min(min, max) })
    } catch {
      // `minIdle` above the new `max` is refused, and nothing changes.
    }
  }

  check(): void {
    if (this.watch.failure !== undefined) throw this.watch.failure
    checkInvariants(this.pool)
    if (this.dead > 0) throw new Error('a resource was handed out that was gone')
    if (this.pool.stats().leases !== this.#live().length) {
      throw new Error(`the pool counts ${this.pool.stats().leases} leases, ${this.held.length} are held`)
    }
  }

  /** Ends everything: each acquire has settled, and nothing is left. */
  async finish(): Promise<void> {
    if (!this.#closed) this.pool.resume()
    const closed = this.pool.close({ timeoutMillis: 100 })
    await this.clock.advance(6_000)
    for (const gate of [...this.validates.splice(0), ...this.resets.splice(0)]) gate.open()
    for (const create of this.factory.creates.splice(0)) create.open()
    await this.clock.advance(6_000)
    await closed
    this.check()
    expect(this.settled).toBe(this.asked)
    const { total, creating, zombies, waiting } = this.pool.stats()
    expect({ total, creating, zombies, waiting }).toEqual({ total: 0, creating: 0, zombies: 0, waiting: 0 })
    expect(this.factory.open).toBe(0)
    expect(this.clock.pendingTimers).toBe(0)
  }
}

async function play(given: PoolOptions<FakeResource>, seed: number, history: readonly Command[]): Promise<void> {
  const run = new Run(given, seed)
  for (const each of history) await run.step(each)
  await run.finish()
}

describe('any history of commands', { retry: 0 }, () => {
  it('breaks no invariant, settles every acquire once, and leaves nothing', { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        options,
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.array(command, { maxLength: 120, size: 'max' }),
        play,
      ),
      {
        numRuns: Number(process.env['PROPERTY_RUNS'] ?? 150),
        ...(process.env['PROPERTY_SEED'] === undefined ? {} : { seed: Number(process.env['PROPERTY_SEED']) }),
      },
    )
  })
})
