import type { CloseReport } from './close-report.ts'
import type { PoolContext } from './context.ts'
import { Alarm } from './deadlines.ts'
import type { Inventory } from './inventory.ts'
import { IDLE } from './lifecycle.ts'
import type { CloseOptions } from './managed-pool.ts'
import type { Opener } from './opener.ts'
import { closedError } from './refusals.ts'
import type { LeaseInfo } from './report.ts'
import type { WaitQueue } from './wait-queue.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** Called with the pool in a consistent state. */
export interface ClosingHost {
  /** Takes every lease away and destroys what was held. */
  takeAllAway(): void
  /** Nothing is left. */
  closed(report: CloseReport): void
}

/**
 * Closes a pool: who waits already is served within the grace time (or rejected), leases get the grace time, idle
 * resources end in order at once; then the rest is destroyed and reported with its holders.
 */
export class Closing<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #opener: Opener<T>
  readonly #queue: WaitQueue<T>
  readonly #room: WaitingRoom<T>
  readonly #host: ClosingHost
  readonly #startedAt: number
  readonly #grace: Alarm
  readonly #destroyedBefore: number
  readonly promise: Promise<CloseReport>
  #resolve!: (report: CloseReport) => void
  #holders: readonly LeaseInfo[] = []
  #rejected = 0
  #patience: Alarm | undefined
  #impatient = false
  #over = false
  #done = false

  constructor(
    context: PoolContext<T>,
    inventory: Inventory<T>,
    opener: Opener<T>,
    queue: WaitQueue<T>,
    room: WaitingRoom<T>,
    { timeoutMillis = 10_000, waiters = 'serve' }: CloseOptions,
    host: ClosingHost,
  ) {
    this.#context = context
    this.#inventory = inventory
    this.#opener = opener
    this.#queue = queue
    this.#room = room
    this.#host = host
    this.#startedAt = context.clock.now()
    this.#destroyedBefore = this.#destroyed()
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#grace = new Alarm(this.#startedAt + timeoutMillis, () => {
      this.#endGrace()
    })
    context.deadlines.add(this.#grace)
    if (waiters === 'reject') this.#rejectWaiters()
  }

  /** Part of the pool's dispatch: ends what nobody needs, and notices when nothing is left. */
  proceed(): void {
    if (this.#done) return
    if (this.#queue.size === 0) this.#endIdle()
    const { leased, maintaining } = this.#inventory
    if (!this.#over && this.#queue.size + leased + maintaining === 0) this.#endGrace()
    // Read only now: the end of the grace time turns creates under way into late ones.
    const { open, zombies } = this.#inventory
    if (this.#over && open === 0 && (zombies === 0 || this.#impatient)) this.#finish()
  }

  #endIdle(): void {
    for (const entry of this.#inventory.entries()) {
      if (entry.state === IDLE) this.#inventory.destroy(entry, 'close')
    }
  }

  #endGrace(): void {
    this.#over = true
    this.#context.deadlines.remove(this.#grace)
    this.#rejectWaiters()
    this.#holders = this.#room.holders(this.#context.clock.now())
    this.#opener.cancelAll()
    // A create that heeds its signal is over at once; one that does not is waited for as long as a goodbye.
    const { clock, deadlines, options } = this.#context
    this.#patience = new Alarm(clock.now() + options.destroyTimeoutMillis, () => {
      this.#impatient = true
      this.#context.changed()
    })
    deadlines.add(this.#patience)
    if (this.#inventory.leased > 0) this.#host.takeAllAway()
    this.#endIdle()
    this.#context.changed()
  }

  #rejectWaiters(): void {
    this.#rejected += this.#queue.size
    this.#room.failAll('refused', () => closedError(this.#context.options.name))
  }

  #destroyed(): number {
    return Object.values(this.#context.counters.destroyed).reduce((sum, count) => sum + count, 0)
  }

  #finish(): void {
    this.#done = true
    if (this.#patience !== undefined) this.#context.deadlines.remove(this.#patience)
    const forced = new Set(this.#holders.map(({ resourceId }) => resourceId)).size
    const report: CloseReport = {
      pool: this.#context.options.name,
      closed: Math.max(0, this.#destroyed() - this.#destroyedBefore - forced),
      forced,
      pendingCreates: this.#inventory.zombies,
      rejected: this.#rejected,
      holders: this.#holders,
      durationMillis: this.#context.clock.now() - this.#startedAt,
    }
    this.#host.closed(report)
    this.#resolve(report)
  }
}
