import type { Clock, Timer } from './clock.ts'

/** Places of a deadline besides its index in the heap. */
const NOWHERE = -1
const IN_LANE = -2
const NEVER_DUE = -3

/** Something that must be over at a certain time. */
export abstract class Deadline {
  /** When, in the clock's milliseconds; `Infinity` for never. Changed by {@link Deadlines} only, once it is added. */
  dueAt: number
  /** By how much a stall of the event loop moved it, in milliseconds. It moves at most once. */
  stallMillis = 0
  /** Where {@link Deadlines}, which alone changes it, keeps this. */
  place = NOWHERE

  constructor(dueAt: number) {
    this.dueAt = dueAt
  }

  /** Whether it runs: it was added, and not removed. */
  get runs(): boolean {
    return this.place !== NOWHERE
  }

  /** Whether somebody waits for the outcome, so that the timer must keep the process alive. */
  get awaited(): boolean {
    return false
  }

  /** Called once, when it has passed. */
  abstract expire(): void
}

/** Calls back at a certain time. */
export class Alarm extends Deadline {
  readonly #ring: () => void

  constructor(dueAt: number, ring: () => void) {
    super(dueAt)
    this.#ring = ring
  }

  override expire(): void {
    this.#ring()
  }
}

/** A stall of the event loop shorter than this is noise. */
const STALL_MILLIS = 50
/** No stall extends a deadline by more. */
const LONGEST_EXTENSION_MILLIS = 1_000
/** The lane may hold this many who left it, beyond as many as are in it. */
const LANE_SLACK = 256
/** How many expire in one turn, so that thousands that expire together do not block the event loop. */
const SLICE = 512

/**
 * One timer for every deadline of a pool.
 *
 * A late timer fires before data that has already arrived is handled, so expiry takes two steps: the timer fires, the
 * turn's I/O is handled, and only what is still not served then expires. Where the timer itself came late because the
 * event loop stalled, what it should have ended gets the length of the stall (at most 1 s) once more.
 *
 * Deadlines that come in order (waiters with the pool's own timeout: nearly all) stand in a lane, an array that is read
 * from the front; who leaves it from the middle is only marked. The others stand in a binary heap.
 */
export class Deadlines {
  readonly #clock: Clock
  /** Sets timers outside the caller's async context, so that they retain no request's store. */
  readonly #detached: <R>(fn: () => R) => R
  readonly #swept: () => void
  readonly #heap: Deadline[] = []
  #lane: (Deadline | undefined)[] = []
  #laneHead = 0
  /** Those in the lane who have not left it. */
  #laneSize = 0
  #awaited = 0
  #timer: Timer | undefined
  #timerAt = Infinity
  #timerHolds = false
  /** Everything due up to here expires in this or one of the next turns; it may not be served any more. */
  #expiringUpTo = -Infinity
  #sweeping = false

  /** @param swept - told when everything that was due has expired */
  constructor(clock: Clock, detached: <R>(fn: () => R) => R, swept: () => void) {
    this.#clock = clock
    this.#detached = detached
    this.#swept = swept
  }

  add(deadline: Deadline): void {
    if (deadline.awaited) this.#awaited++
    if (deadline.dueAt === Infinity) deadline.place = NEVER_DUE
    else this.#heapAdd(deadline)
    this.#added(deadline)
  }

  /** Adds one that is due no earlier than everything that was added in order before. */
  addInOrder(deadline: Deadline): void {
    if (deadline.awaited) this.#awaited++
    deadline.place = IN_LANE
    this.#lane.push(deadline)
    this.#laneSize++
    this.#added(deadline)
  }

  #added(deadline: Deadline): void {
    if (deadline.dueAt < this.#timerAt) this.#arm(deadline.dueAt)
    else this.#holdProcess()
  }

  remove(deadline: Deadline): void {
    if (!deadline.runs) return
    if (deadline.awaited) this.#awaited--
    this.#unlink(deadline)
    if (this.#awaited === 0 && this.#timerHolds) this.#holdProcess()
  }

  /**
   * Tells whether it may still be served: it is not due, or the turn of the event loop in which it fell due is not over,
   * however long that takes.
   */
  serves(deadline: Deadline): boolean {
    return deadline.dueAt > this.#expiringUpTo
  }

  /** Cancels the timer; for a closed pool. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Infinity
  }

  #earliest(): Deadline | undefined {
    const top = this.#heap[0]
    const first = this.#lane[this.#laneHead]
    if (top === undefined || first === undefined) return top ?? first
    return top.dueAt < first.dueAt ? top : first
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timerHolds = true
    this.#timer = this.#detached(() =>
      this.#clock.setTimer(() => {
        this.#timerFired()
      }, at - this.#clock.now()),
    )
    this.#holdProcess()
  }

  #holdProcess(): void {
    const hold = this.#awaited > 0
    if (this.#timer === undefined || hold === this.#timerHolds) return
    this.#timerHolds = hold
    if (hold) this.#timer.ref()
    else this.#timer.unref()
  }

  #timerFired(): void {
    const now = this.#clock.now()
    const lateMillis = now - this.#timerAt
    this.#timer = undefined
    this.#timerAt = Infinity
    if (lateMillis > STALL_MILLIS) this.#extend(now, Math.min(lateMillis, LONGEST_EXTENSION_MILLIS))
    if (this.#earliestDueBy(now)) this.#sweepAfterTurn(now)
    else this.#armForEarliest()
  }

  #earliestDueBy(now: number): boolean {
    const earliest = this.#earliest()
    return earliest !== undefined && earliest.dueAt <= now
  }

  /** Moves what a stall made late, once. */
  #extend(now: number, byMillis: number): void {
    const moved: Deadline[] = []
    const exhausted: Deadline[] = []
    for (let due = this.#earliest(); due !== undefined && due.dueAt <= now; due = this.#earliest()) {
      this.#unlink(due)
      if (due.stallMillis > 0) exhausted.push(due)
      else moved.push(due)
    }
    for (const deadline of moved) {
      deadline.dueAt = now + byMillis
      deadline.stallMillis = byMillis
    }
    for (const deadline of [...exhausted, ...moved]) this.#heapAdd(deadline)
  }

  #sweepAfterTurn(upTo: number): void {
    if (this.#sweeping) return
    this.#sweeping = true
    this.#detached(() => {
      this.#clock.afterTurn(() => {
        this.#sweeping = false
        this.#sweep(upTo)
      })
    })
  }

  #sweep(upTo: number): void {
    this.#expiringUpTo = upTo
    for (let left = SLICE; left > 0; left--) {
      const due = this.#earliest()
      if (due === undefined || due.dueAt > upTo) break
      due.expire()
      // Whatever expires removes itself; one that does not would be swept for ever.
      this.remove(due)
    }
    if (this.#earliestDueBy(upTo)) {
      this.#sweepAfterTurn(upTo)
      return
    }
    this.#armForEarliest()
    this.#swept()
  }

  #armForEarliest(): void {
    const earliest = this.#earliest()
    if (earliest !== undefined && earliest.dueAt < this.#timerAt) this.#arm(earliest.dueAt)
  }

  #unlink(deadline: Deadline): void {
    if (deadline.place === IN_LANE) this.#leaveLane(deadline)
    else if (deadline.place >= 0) this.#heapRemove(deadline)
    else deadline.place = NOWHERE
  }

  #leaveLane(deadline: Deadline): void {
    deadline.place = NOWHERE
    this.#laneSize--
    while (this.#laneHead < this.#lane.length && !isInLane(this.#lane[this.#laneHead]))
      this.#lane[this.#laneHead++] = undefined
    if (this.#lane.length > 2 * this.#laneSize + LANE_SLACK) {
      // Rare enough to cost next to nothing for each who left.
      this.#lane = this.#lane.filter(isInLane)
      this.#laneHead = 0
    }
  }

  #heapAdd(deadline: Deadline): void {
    this.#heap.push(deadline)
    this.#rise(deadline, this.#heap.length - 1)
  }

  #heapRemove(deadline: Deadline): void {
    const index = deadline.place
    deadline.place = NOWHERE
    const last = this.#heap.pop()
    if (last === undefined || last === deadline) return
    this.#rise(last, index)
    this.#sink(last, last.place)
  }

  #rise(deadline: Deadline, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#heap[parentIndex] as Deadline
      if (parent.dueAt <= deadline.dueAt) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(deadline, index)
  }

  #sink(deadline: Deadline, from: number): void {
    let index = from
    for (;;) {
      let childIndex = 2 * index + 1
      let child = this.#heap[childIndex]
      const right = this.#heap[childIndex + 1]
      if (right !== undefined && child !== undefined && right.dueAt < child.dueAt) {
        child = right
        childIndex++
      }
      if (child === undefined || child.dueAt >= deadline.dueAt) break
      this.#place(child, index)
      index = childIndex
    }
    this.#place(deadline, index)
  }

  #place(deadline: Deadline, index: number): void {
    this.#heap[index] = deadline
    deadline.place = index
  }
}

function isInLane(deadline: Deadline | undefined): boolean {
  return deadline?.place === IN_LANE
}
