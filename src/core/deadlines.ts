import type { Clock, Timer } from './clock.ts'

/** Something that must be over at a certain time. */
export abstract class Deadline {
  /** When, in the clock's milliseconds; `Infinity` for never. Changed by {@link Deadlines} only, once it is added. */
  dueAt: number
  /** By how much a stall of the event loop moved it, in milliseconds. It moves at most once. */
  stallMillis = 0
  // Places in the structures of Deadlines, which alone touches them.
  heapIndex = -1
  laterDue: Deadline | undefined = undefined
  earlierDue: Deadline | undefined = undefined
  inLane = false

  constructor(dueAt: number) {
    this.dueAt = dueAt
  }

  /** Whether somebody waits for the outcome, so that the timer must keep the process alive. */
  get awaited(): boolean {
    return false
  }

  /** Called once, when it has passed. */
  abstract expire(): void
}

/** A stall of the event loop shorter than this is noise. */
const STALL_MILLIS = 50
/** No stall extends a deadline by more. */
const LONGEST_EXTENSION_MILLIS = 1_000
/** How many expire in one turn, so that thousands that expire together do not block the event loop. */
const SLICE = 512

/**
 * One timer for every deadline of a pool.
 *
 * A late timer fires before data that has already arrived is handled, so expiry takes two steps: the timer fires, the
 * turn's I/O is handled, and only what is still not served then expires. Where the timer itself came late because the
 * event loop stalled, what it should have ended gets the length of the stall (at most 1 s) once more.
 *
 * Deadlines that come in order (waiters with the pool's own timeout: nearly all) stand in a lane, a linked list; the
 * others in a binary heap.
 */
export class Deadlines {
  readonly #clock: Clock
  /** Sets timers outside the caller's async context, so that they retain no request's store. */
  readonly #detached: <R>(fn: () => R) => R
  readonly #heap: Deadline[] = []
  #laneFirst: Deadline | undefined
  #laneLast: Deadline | undefined
  #awaited = 0
  #timer: Timer | undefined
  #timerAt = Infinity
  #timerHolds = false
  /** Everything due up to here expires in this or one of the next turns; it may not be served any more. */
  #expiringUpTo = -Infinity
  #sweeping = false

  constructor(clock: Clock, detached: <R>(fn: () => R) => R) {
    this.#clock = clock
    this.#detached = detached
  }

  /** @param inOrder - promises that it is due no earlier than everything that was added in order before */
  add(deadline: Deadline, inOrder: boolean): void {
    if (deadline.awaited) this.#awaited++
    if (deadline.dueAt !== Infinity) {
      if (inOrder && (this.#laneLast === undefined || this.#laneLast.dueAt <= deadline.dueAt)) this.#enterLane(deadline)
      else this.#heapAdd(deadline)
      if (deadline.dueAt < this.#timerAt) this.#arm(deadline.dueAt)
    }
    this.#holdProcess()
  }

  remove(deadline: Deadline): void {
    if (deadline.awaited) this.#awaited--
    this.#unlink(deadline)
    if (this.#awaited === 0 && this.#timerHolds) this.#holdProcess()
  }

  /** Tells whether it may still be served at this instant: it is not due, or so recently that the turn is not over. */
  serves(deadline: Deadline, now: number): boolean {
    return (
      deadline.dueAt > now || (deadline.dueAt > this.#expiringUpTo && now - deadline.dueAt <= LONGEST_EXTENSION_MILLIS)
    )
  }

  /** Cancels the timer; for a closed pool. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Infinity
  }

  get size(): number {
    let lane = 0
    for (let each = this.#laneFirst; each !== undefined; each = each.laterDue) lane++
    return lane + this.#heap.length
  }

  #earliest(): Deadline | undefined {
    const top = this.#heap[0]
    const first = this.#laneFirst
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
      this.#unlink(due)
    }
    if (this.#earliestDueBy(upTo)) this.#sweepAfterTurn(upTo)
    else this.#armForEarliest()
  }

  #armForEarliest(): void {
    const earliest = this.#earliest()
    if (earliest !== undefined && earliest.dueAt < this.#timerAt) this.#arm(earliest.dueAt)
  }

  #unlink(deadline: Deadline): void {
    if (deadline.inLane) this.#leaveLane(deadline)
    else if (deadline.heapIndex >= 0) this.#heapRemove(deadline)
  }

  #enterLane(deadline: Deadline): void {
    deadline.inLane = true
    deadline.earlierDue = this.#laneLast
    if (this.#laneLast === undefined) this.#laneFirst = deadline
    else this.#laneLast.laterDue = deadline
    this.#laneLast = deadline
  }

  #leaveLane(deadline: Deadline): void {
    deadline.inLane = false
    if (deadline.earlierDue === undefined) this.#laneFirst = deadline.laterDue
    else deadline.earlierDue.laterDue = deadline.laterDue
    if (deadline.laterDue === undefined) this.#laneLast = deadline.earlierDue
    else deadline.laterDue.earlierDue = deadline.earlierDue
    deadline.laterDue = undefined
    deadline.earlierDue = undefined
  }

  #heapAdd(deadline: Deadline): void {
    this.#heap.push(deadline)
    this.#rise(deadline, this.#heap.length - 1)
  }

  #heapRemove(deadline: Deadline): void {
    const index = deadline.heapIndex
    deadline.heapIndex = -1
    const last = this.#heap.pop()
    if (last === undefined || last === deadline) return
    this.#rise(last, index)
    this.#sink(last, last.heapIndex)
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
    deadline.heapIndex = index
  }
}
