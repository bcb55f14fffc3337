/** A timer that a {@link Clock} started. */
export interface Timer {
  /** Lets the timer keep the process alive (the state after it was set). */
  ref(): void
  /** Lets the process exit although the timer is pending. */
  unref(): void
  cancel(): void
}

/**
 * Where a pool takes its time from. Every decision uses the monotonic readings; the wall clock serves only to notice
 * that the machine slept. Hand in a manual clock (`millpond/testing`) to run a pool in a deterministic simulation.
 */
export interface Clock {
  /** Monotonic time in milliseconds, exact. */
  now(): number
  /** Monotonic time in milliseconds, at most one turn of the event loop old; next to free after the first call of a turn. */
  turnNow(): number
  /** Wall-clock time in milliseconds since 1970. */
  wallNow(): number
  /** CPU time the process has used, in milliseconds: tells a busy loop from a frozen process. */
  cpuMillis(): number
  setTimer(callback: () => void, delayMillis: number): Timer
  /** Runs the callback after the I/O of the present turn of the event loop was handled. */
  afterTurn(callback: () => void): void
}

/** Node's timers overflow to 1 ms above this delay; a longer one is cut, and whoever set it looks again. */
const LONGEST_TIMER_MILLIS = 2_147_483_647

// One cached reading serves all pools of the process, and one immediate a turn makes it stale.
let turnReading = -1
const forgetTurn = (): void => {
  turnReading = -1
}

/** The clock of the process. */
export const systemClock: Clock = {
  now() {
    return performance.now()
  },
  turnNow() {
    if (turnReading < 0) {
      turnReading = performance.now()
      setImmediate(forgetTurn)
    }
    return turnReading
  },
  wallNow() {
    return Date.now()
  },
  cpuMillis() {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  setTimer(callback, delayMillis) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMillis, 0), LONGEST_TIMER_MILLIS))
    return {
      ref: () => void timer.ref(),
      unref: () => void timer.unref(),
      cancel: () => {
        clearTimeout(timer)
      },
    }
  },
  afterTurn(callback) {
    setImmediate(callback)
  },
}
