import { Pool, PoolRegistry, type ResourceFactory } from 'millpond'

/** What stands for a connection. */
interface Pretended {
  readonly number: number
}

/** A pool of connections that are pretended, and callers who want some of them. */
interface Scene {
  readonly name: string
  readonly kind: string
  readonly max: number
  /** Leases that are asked for in a second, on average. */
  readonly ratePerSecond: number
  readonly useMillis: number
}

const SCENES: readonly Scene[] = [
  { name: 'orders', kind: 'postgres', max: 10, ratePerSecond: 120, useMillis: 40 },
  { name: 'reports', kind: 'postgres', max: 3, ratePerSecond: 6, useMillis: 400 },
  { name: 'cache', kind: 'redis', max: 5, ratePerSecond: 300, useMillis: 2 },
]

/** The load comes in waves of this length, between half and one and a half of the average. */
const WAVE_MILLIS = 30_000

/** Pools under a load that swells and ebbs, without any server: for a look at the dashboard. */
export class DemoPools implements AsyncDisposable {
  readonly registry = new PoolRegistry()
  readonly #timers = new Set<NodeJS.Timeout>()
  #isOver = false

  constructor() {
    for (const scene of SCENES) {
      const pool = new Pool(pretended(scene), { name: scene.name, max: scene.max, min: 1, acquireTimeoutMillis: 2_000 })
      this.registry.register(pool)
      this.#go(pool, scene)
    }
  }

  #go(pool: Pool<Pretended>, { name, ratePerSecond, useMillis }: Scene): void {
    const next = (): void => {
      const wave = 1 + 0.5 * Math.sin((2 * Math.PI * performance.now()) / WAVE_MILLIS)
      this.#after(exponential(1_000 / (ratePerSecond * wave)), () => {
        // A caller who waits in vain is what the page is to show.
        pool.use(() => this.#pause(exponential(useMillis)), { label: `GET /${name}` }).catch(() => undefined)
        next()
      })
    }
    next()
  }

  #pause(millis: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) resolve()
      else this.#after(millis, resolve)
    })
  }

  #after(millis: number, action: () => void): void {
    if (this.#isOver) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, millis)
    this.#timers.add(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await this.registry.close({ timeoutMillis: 0 })
  }
}

function pretended({ kind }: Scene): ResourceFactory<Pretended> {
  let number = 0
  return {
    kind,
    create: () => new Promise((resolve) => setTimeout(() => { resolve({ number: number++ }) }, 20)), // prettier-ignore
    destroy: () => undefined,
    validate: () => Promise.resolve(),
  }
}

const exponential = (mean: number): number => -mean * Math.log(1 - Math.random())
