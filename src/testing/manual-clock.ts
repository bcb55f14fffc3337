import type { Clock, Timer } from '../core/clock.ts'

interface ManualTimer extends Timer {
  readonly dueAt: number
  readonly order: number
  readonly callback: () => void
  holdsProcess: boolean
}

/** Lets every promise that is settled by now run its continuations, and theirs. */
const settle = async (): Promise<void> => {
  // A chain of awaits is as long as the code under test makes it; a macrotask runs after all of them.
  await new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
}

/**
 * A clock that stands still until it is told to go on. A pool that runs on it does in milliseconds what takes hours,
 * the same way every time.
 *
 * ```ts
 * const clock = new ManualClock()
 * const pool = new Pool(factory, { clock, random: () => 0.5 })
 * const waiting = pool.acquire({ timeoutMillis: 1_000 })
 * await clock.advance(1_000) // the deadline passes, the promise is rejected
 * ```
 */
export class ManualClock implements Clock {
  #now: number
  #wallOffset = 1_700_000_000_000
  #cpuMillis = 0
  #orders = 0
  readonly #timers = new Set<ManualTimer>()
  #afterTurn: (() => void)[] = []

  /** @param startMillis - the first monotonic reading */
  constructor(startMillis = 1_000) {
    this.#now = startMillis
  }

  now(): number {
    return this.#now
  }

  turnNow(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#now + this.#wallOffset
  }

  cpuMillis(): number {
    return this.#cpuMillis
  }

  setTimer(callback: () => void, delayMillis: number): Timer {
    const timer: ManualTimer = {
      dueAt: this.#now + Math.max(0, delayMillis),
      order: this.#orders++,
      callback,
      holdsProcess: true,
      ref() {
        timer.holdsProcess = true
      },
      unref() {
        timer.holdsProcess = false
      },
      cancel: () => {
        this.#timers.delete(timer)
      },
    }
    this.#timers.add(timer)
    return timer
  }

  afterTurn(callback: () => void): void {
    this.#afterTurn.push(callback)
  }

  /** Timers that are set. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Timers that are set and would keep the process alive. */
  get pendingRefTimers(): number {
    return [...this.#timers].filter(({ holdsProcess }) => holdsProcess).length
  }

  /** Lets time pass: every timer fires at its time, and what it causes happens before the next one does. */
  async advance(millis: number): Promise<void> {
    const until = this.#now + millis
    await this.#endTurn()
    for (let timer = this.#nextTimer(until); timer !== undefined; timer = this.#nextTimer(until)) {
      this.#pass(timer.dueAt - this.#now)
      this.#fire(timer)
      await this.#endTurn()
    }
    this.#pass(until - this.#now)
    await this.#endTurn()
  }

  /** Lets what is under way happen, without any time passing. */
  async settle(): Promise<void> {
    await this.#endTurn()
  }

  /** A long synchronous piece of work: time and CPU time pass, and timers that fell due fire late, after it. */
  async stall(millis: number): Promise<void> {
    this.#pass(millis)
    this.#cpuMillis += millis
    await this.#fireDue()
  }

  /** The process is stopped for a while (SIGSTOP, a frozen container): time passes, CPU time does not. */
  async freeze(millis: number): Promise<void> {
    this.#pass(millis)
    await this.#fireDue()
  }

  /** The machine sleeps: the wall clock goes on, the monotonic one does not. Also for a wall clock that is set. */
  jumpWallClock(millis: number): void {
    this.#wallOffset += millis
  }

  #pass(millis: number): void {
    this.#now += Math.max(0, millis)
  }

  async #fireDue(): Promise<void> {
    for (let timer = this.#nextTimer(this.#now); timer !== undefined; timer = this.#nextTimer(this.#now))
      this.#fire(timer)
    await this.#endTurn()
  }

  #fire(timer: ManualTimer): void {
    this.#timers.delete(timer)
    timer.callback()
  }

  #nextTimer(until: number): ManualTimer | undefined {
    let next: ManualTimer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt > until) continue
      if (next === undefined || timer.dueAt < next.dueAt || (timer.dueAt === next.dueAt && timer.order < next.order))
        next = timer
    }
    return next
  }

  async #endTurn(): Promise<void> {
    await settle()
    while (this.#afterTurn.length > 0) {
      const callbacks = this.#afterTurn
      this.#afterTurn = []
      for (const callback of callbacks) callback()
      await settle()
    }
  }
}
