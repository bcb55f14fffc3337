import { expect, it } from 'vitest'
import {
  Pool,
  type HealthCheck,
  type HealthOptions,
  type ManagedPool,
  type PoolOptions,
  type PoolStats,
} from 'millpond'
import { FakeError, FakeFactory, viewContract } from 'millpond/testing'

const SECRET = 'the-secret-of-this-test'

type Own = Pick<ManagedPool, 'stats' | 'health' | 'close' | 'on'>

/** A pool whose answers may be spoilt. Health and close are cut short, so that no test waits for what never comes. */
class View implements ManagedPool {
  readonly kind = 'fake'
  readonly url: string
  readonly real: Pool<unknown>
  readonly #spoil: (own: Own) => Partial<Own>

  constructor(spoil: (own: Own) => Partial<Own>, options: PoolOptions, factory: FakeFactory, url: string) {
    this.url = url
    this.real = new Pool<unknown>(factory, options)
    this.#spoil = spoil
    Object.defineProperty(this, 'real', { enumerable: false })
  }
  get name() {
    return this.real.name
  }
  get state() {
    return this.real.state
  }
  get #own(): Own {
    const { real } = this
    const own: Own = {
      stats: () => real.stats(),
      health: (options) => real.health(options),
      close: (options) => real.close(options),
      on: (event: never, listener: never) => real.on(event, listener),
    }
    return { ...own, ...this.#spoil(own) }
  }
  stats() {
    return this.#own.stats()
  }
  health(options?: HealthOptions) {
    return this.#own.health(options)
  }
  close(options?: Parameters<ManagedPool['close']>[0]) {
    return this.#own.close(options)
  }
  on(event: never, listener: never) {
    return this.#own.on(event, listener)
  }
}

/** Runs the contract against a pool that is spoilt, and gives the names of the tests that fail. */
async function failuresOf(
  spoil: (own: Own) => Partial<Own> = () => ({}),
  { error = new FakeError('config', 'refused'), url = 'fake://host' }: { error?: FakeError; url?: string } = {},
): Promise<string[]> {
  const failed: string[] = []
  const tests: (() => Promise<void>)[] = []
  viewContract<View>(
    'a view',
    {
      describe: (_, body) => body(),
      it: (name, body) => {
        tests.push(() => body().catch(() => void failed.push(name)))
      },
    },
    {
      make: () => new View(spoil, { name: 'view', max: 1 }, new FakeFactory(), url),
      makeBroken: () => {
        const factory = new FakeFactory()
        factory.onCreate = () => Promise.reject(error)
        return new View(spoil, { name: 'view', max: 1, acquireTimeoutMillis: 50 }, factory, url)
      },
      touch: (view) => view.real.use(() => undefined),
      exhaust: async (view) => {
        const lease = await view.real.acquire()
        return () => lease.release()
      },
      secrets: [SECRET],
    },
  )
  await Promise.all(tests.map((test) => test()))
  return failed.sort()
}

const stats = (change: (stats: PoolStats) => object) => (own: Own) => ({
  stats: (): PoolStats => ({ ...own.stats(), ...change(own.stats()) }),
})
const health = (change: (check: HealthCheck) => object) => (own: Own) => ({
  health: async (options?: HealthOptions): Promise<HealthCheck> => {
    const check = await own.health(options)
    return { ...check, ...change(check) }
  },
})

it('a pool of the engine keeps the view contract', async () => {
  expect(await failuresOf()).toEqual([])
})

it.each<[what: string, spoil: (own: Own) => Partial<Own>]>([
  ['a total that is not the sum', stats(({ total }) => ({ total: total + 1 }))],
  ['a request that is lost', stats(({ requested }) => ({ requested: requested + 1 }))],
  ['a resource that is lost', stats(({ created }) => ({ created: created + 1 }))],
  ['a count that is missing', stats(() => ({ zombies: undefined }))],
  ['a count that is not a number', stats(() => ({ deadlocks: NaN }))],
  ['percentiles that fall', stats(({ use }) => ({ use: { ...use, p50: use.max + 1 } }))],
  ['another name', stats(() => ({ name: 'other' }))],
  ['another state', stats(() => ({ state: 'suspended' }))],
  ['what is no plain data', stats(() => ({ since: new Date() }))],
  ['nothing of what was used', stats(() => ({ acquired: 0, requested: 0, use: ZERO }))],
  ['a health that is always good', health(() => ({ status: 'pass' }))],
  ['a health that is always bad', health(() => ({ status: 'fail' }))],
  ['a health that says nothing', health(() => ({ message: '' }))],
  ['a health of another pool', health(() => ({ pool: 'other' }))],
  ['a health that throws', () => ({ health: () => Promise.reject(new Error('down')) })],
  ['a secret in the health', health(() => ({ message: `cannot reach ${SECRET}` }))],
  ['a secret in the statistics', stats(() => ({ address: SECRET }))],
  ['a second promise of close', (own) => ({ close: async (options) => await own.close(options) })],
  ['a close that nobody is told of', () => ({ on: () => undefined })],
])('a view with %s does not', async (_, spoil) => {
  expect(await failuresOf(spoil)).not.toEqual([])
})

it('a view whose error shows a secret does not', async () => {
  const error = Object.assign(new FakeError('config', 'refused'), { options: { password: SECRET } })
  expect(await failuresOf(undefined, { error })).toEqual(['shows no secret where there is no server'])
})

it('a view that shows a secret to whoever prints it does not', async () => {
  expect(await failuresOf(undefined, { url: `fake://user:${SECRET}@host` })).toEqual([
    'shows no secret',
    'shows no secret where there is no server',
  ])
})

const ZERO = { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 }
