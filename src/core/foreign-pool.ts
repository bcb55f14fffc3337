import { inspect } from 'node:util'
import type { CloseReport } from './close-report.ts'
import { systemClock } from './clock.ts'
import { Events, type PoolEventName, type PoolEvents } from './events.ts'
import type { PoolState } from './lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions, ManagedPool } from './managed-pool.ts'
import { lookForMistakes, lookForRoom, type Room, type Suspect } from './mistakes.ts'
import type { PoolStats } from './stats.ts'

/** What a health check says, before it is told which pool said it and how long it took. */
export type Verdict = readonly [status: HealthCheck['status'], message: string]

/**
 * A pool that somebody else runs, seen as one of ours: the surface that a registry, metrics and the dashboard take. A
 * kind of pool says how it is counted, asked for its health, and closed; the rest is here.
 */
export abstract class ForeignPool implements ManagedPool, AsyncDisposable {
  readonly name: string
  readonly kind: string
  readonly #events: Events
  #closing: Promise<CloseReport> | undefined
  #isClosed = false
  /** Held here, as nobody else does. */
  #suspect: Suspect | undefined

  constructor(name: string, kind: string) {
    this.name = name
    this.kind = kind
    this.#events = new Events(name)
  }

  abstract stats(): PoolStats

  /** Stops watching and puts back what was wrapped. The pool goes on; the view counts no more, and is closed. */
  abstract detach(): void

  /** Whether it is open or paused; asked while nobody closes it. */
  protected abstract get openState(): 'open' | 'paused'

  /** Looks whether the pool works; may throw, and is cut short at its time. */
  protected abstract check(timeoutMillis: number): Verdict | Promise<Verdict>

  /** Ends the pool in order; called once. */
  protected abstract end(options: CloseOptions): Promise<Omit<CloseReport, 'pool' | 'durationMillis'>>

  get state(): PoolState {
    if (this.#isClosed) return 'closed'
    return this.#closing === undefined ? this.openState : 'closing'
  }

  /** Never throws, never queues behind an exhausted pool, and keeps its time. */
  async health({ timeoutMillis = 1_000 }: HealthOptions = {}): Promise<HealthCheck> {
    const startedAt = systemClock.now()
    const [status, message] = await this.#verdict(timeoutMillis)
    return { status, pool: this.name, kind: this.kind, message, durationMillis: systemClock.now() - startedAt }
  }

  async #verdict(timeoutMillis: number): Promise<Verdict> {
    if (this.#closing !== undefined || this.#isClosed) return ['fail', 'Pool is closed']
    return await new Promise<Verdict>((resolve) => {
      const timer = systemClock.setTimer(() => resolve(['fail', 'The server did not answer in time']), timeoutMillis)
      const settle = (verdict: Verdict): void => {
        timer.cancel()
        resolve(verdict)
      }
      const ask = async (): Promise<Verdict> => await this.check(timeoutMillis)
      ask().then(settle, () => settle(['fail', 'No connection could be opened']))
    })
  }

  /** Idempotent: a second call returns the first one's promise. */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  async #close(options: CloseOptions): Promise<CloseReport> {
    const startedAt = systemClock.now()
    // From here on the state is 'closing', also for what `end` does before it first waits.
    await Promise.resolve()
    const ended = await this.end(options)
    return this.#closed({ pool: this.name, ...ended, durationMillis: systemClock.now() - startedAt })
  }

  /** Its owner has closed it: whoever watches is told, and a later `close` has nothing to do. */
  protected ownerClosed(closed: number): void {
    if (this.#closing !== undefined) return
    const report = {
      pool: this.name,
      closed,
      forced: 0,
      pendingCreates: 0,
      rejected: 0,
      holders: [],
      durationMillis: 0,
    }
    this.#closing = Promise.resolve(this.#closed(report))
  }

  #closed(report: CloseReport): CloseReport {
    this.#isClosed = true
    this.tell('closed', report)
    this.#events.clear()
    return report
  }

  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#events.on(event, listener)
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#events.off(event, listener)
    return this
  }

  /** Whether anybody would hear of it; asked before a payload is made. */
  protected heard(event: PoolEventName): boolean {
    return this.#events.heard(event)
  }

  protected tell<E extends PoolEventName>(event: E, payload: PoolEvents[E]): void {
    if (!this.#events.heard(event)) return
    this.#events.queue(event, payload)
    this.#events.flush()
  }

  /** Has it looked at as the engine's pools are: how many lead there, whether it has a deadline, what is out at the end. */
  protected lookForMistakes(about: Pick<Suspect, 'factory' | 'options' | 'deadlineMend'>): void {
    const leases = (): number => this.stats().leases
    this.#suspect = {
      ...about,
      name: this.name,
      events: this.#events,
      inventory: {
        get leases() {
          return leases()
        },
      },
    }
    lookForMistakes(this.#suspect)
  }

  /** Compares `max`, which is for each server, with what the one that answers has left. */
  protected async lookForRoom(max: number, setting: string, ask: () => Promise<Room | undefined>): Promise<void> {
    const { total: open, creating } = this.stats()
    await lookForRoom(
      { name: this.name, events: this.#events, sizes: { max }, inventory: { open, creating } },
      setting,
      ask,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Names and counts only: what is watched may hold a password. */
  [inspect.custom](): string {
    const { state, idle, used, creating, waiting, max } = this.stats()
    return `${this.constructor.name} { name: '${this.name}', kind: '${this.kind}', state: '${state}', idle: ${idle}, used: ${used}, creating: ${creating}, waiting: ${waiting}, max: ${max} }`
  }
}
