import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { sleep, type FaultProxy } from '@millpond/rig'
import type { Load } from './load.ts'
import { MAX, type Stage } from './stage.ts'

export interface FaultOptions {
  readonly stage: Stage
  readonly load: Load
  readonly random: () => number
  /** The least time between two faults: none lasts longer, nor longer than ten seconds. */
  readonly leastBetweenMillis: number
  /** How many come at once in a burst. */
  readonly burst: number
}

/** What happens to a pool, its servers, its network and its process: each as often as the others, in random order. */
export class RandomFaults {
  readonly seen: Record<string, number> = {}
  readonly #stage: Stage
  readonly #load: Load
  readonly #random: () => number
  readonly #longestMillis: number
  readonly #burst: number
  #deck: string[] = []

  constructor({ stage, load, random, leastBetweenMillis, burst }: FaultOptions) {
    this.#stage = stage
    this.#load = load
    this.#random = random
    this.#longestMillis = Math.min(10_000, leastBetweenMillis)
    this.#burst = burst
  }

  /** The next one, to its end. */
  async next(): Promise<void> {
    if (this.#deck.length === 0) this.#deck = this.#shuffled(Object.keys(this.#faults))
    const name = this.#deck.pop() ?? ''
    this.seen[name] = (this.seen[name] ?? 0) + 1
    await this.#faults[name]?.()
    await this.#stage.proxy.clear()
  }

  readonly #faults: Readonly<Record<string, () => Promise<unknown> | void>> = {
    'reset all': () => this.#stage.proxy.cutAll('reset'),
    'end all': () => this.#stage.proxy.cutAll('fin'),
    'cut one': () => this.#someConnection()?.cut('reset'),
    'silence one': () => this.#someConnection()?.blackHole(),
    'refuse connects': () => this.#during({ connect: 'refuse' }),
    'black hole': async () => {
      await this.#stage.proxy.blackHole()
      await sleep(this.#duration())
    },
    'forget idle connections': async () => {
      const millis = this.#duration()
      await this.#stage.proxy.set({ forgetIdleMillis: millis / 4 })
      // Only those opened from now on lead through the gateway that forgets.
      this.#stage.proxy.cutAll('fin')
      await sleep(millis)
    },
    'slow network': () => this.#during({ down: { latencyMillis: 30, jitterMillis: 25 } }),
    'slow connects': () => this.#during({ connectDelayMillis: 300 }),
    'connects get no answer': () => this.#during({ connect: (count) => (count % 3 === 0 ? 'silence' : 'accept') }),
    'cut in the middle of replies': () => this.#during({ down: { cutAfterBytes: 400 } }),
    'few connections granted': () => this.#during({ maxConnections: 8 }),
    'kill the server': async () => {
      const { server } = this.#stage
      await server.kill()
      await sleep(this.#duration() / 2)
      await server.start()
    },
    'restart the server': () => this.#stage.server.restart('fast'),
    'stop the server for a while': async () => {
      this.#stage.server.pause()
      await sleep(this.#duration())
      this.#stage.server.resume()
    },
    'fail over to the other server': async () => {
      await this.#stage.failOver()
      await sleep(this.#duration())
    },
    'set the wall clock': async () => {
      this.#stage.wallOffset += (this.#random() < 0.5 ? -1 : 1) * 3_600_000 * this.#random()
      await sleep(this.#duration() / 4)
    },
    'block the event loop': () => {
      const until = performance.now() + 300
      while (performance.now() < until) Math.random()
    },
    'stop this process, its idle connections end': async () => {
      const millis = this.#duration()
      const ended = this.#stage.endIdleAfter(millis / 2)
      await stopThisProcess(millis)
      await ended
    },
    'a burst of callers': () => this.#load.burst(this.#burst),
    overload: () => this.#load.overload(() => sleep(this.#duration())),
    'forget leases': () => forget(this.#stage.pool),
    invalidate: () => this.#stage.pool.core.invalidate({ interruptInUse: this.#random() < 0.3 }),
    resize: async () => {
      this.#stage.pool.core.resize({ max: 3 })
      await sleep(this.#duration() / 2)
      this.#stage.pool.core.resize({ max: MAX })
    },
  }

  #duration(): number {
    return this.#longestMillis * (0.2 + 0.8 * this.#random())
  }

  async #during(faults: Parameters<FaultProxy['set']>[0]): Promise<void> {
    await this.#stage.proxy.set(faults)
    await sleep(this.#duration())
  }

  #someConnection(): FaultProxy['connections'][number] | undefined {
    const { connections } = this.#stage.proxy
    return connections[Math.floor(this.#random() * connections.length)]
  }

  #shuffled(names: string[]): string[] {
    for (let left = names.length - 1; left > 0; left--) {
      const other = Math.floor(this.#random() * (left + 1))
      const name = names[left] ?? ''
      names[left] = names[other] ?? ''
      names[other] = name
    }
    return names
  }
}

/** Borrows twice, and forgets about it. */
async function forget(pool: { connect(): Promise<unknown> }): Promise<void> {
  for (let lease = 0; lease < 2; lease++) await pool.connect().catch(() => undefined)
}

/** SIGSTOP, and SIGCONT by another one, who keeps the time. */
async function stopThisProcess(millis: number): Promise<void> {
  const { pid } = process
  const script = `kill -STOP ${pid}; sleep ${millis / 1_000}; kill -CONT ${pid}`
  await once(spawn('sh', ['-c', script], { stdio: 'ignore' }), 'exit')
}
