import type { Waiter } from './waiter.ts'

/** A waiter that was passed over this often by higher priorities goes first. */
const PATIENCE = 8

/** The waiters of one priority in order of arrival, linked through themselves so that anyone can leave at once. */
class PriorityClass<T> {
  readonly priority: number
  first: Waiter<T> | undefined
  last: Waiter<T> | undefined
  /** How often a higher priority was served before the first of this one. */
  passedOver = 0

  constructor(priority: number) {
    this.priority = priority
  }
}

/** Who waits: higher priority first, then arrival. Nobody overtakes within a priority. */
export class WaitQueue<T> {
  /** Highest priority first; almost always one class. */
  readonly #classes: PriorityClass<T>[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Who is served next. */
  peek(): Waiter<T> | undefined {
    if (this.#classes.length <= 1) return this.#classes[0]?.first
    const patient = this.#classes.findLast((each) => each.first !== undefined && each.passedOver >= PATIENCE)
    return (patient ?? this.#classes.find((each) => each.first !== undefined))?.first
  }

  /** Who came last of those who rank as this one. */
  newestBeside(waiter: Waiter<T>): Waiter<T> {
    return this.#classFor(waiter.priority).last ?? waiter
  }

  push(waiter: Waiter<T>): void {
    const into = this.#classFor(waiter.priority)
    waiter.before = into.last
    if (into.last === undefined) into.first = waiter
    else into.last.behind = waiter
    into.last = waiter
    this.#size++
  }

  remove(waiter: Waiter<T>): void {
    const from = this.#classFor(waiter.priority)
    if (waiter.before === undefined) {
      from.first = waiter.behind
      from.passedOver = 0
    } else {
      waiter.before.behind = waiter.behind
    }
    if (waiter.behind === undefined) from.last = waiter.before
    else waiter.behind.before = waiter.before
    waiter.before = undefined
    waiter.behind = undefined
    this.#size--
    if (from.first === undefined && this.#classes.length > 1) this.#classes.splice(this.#classes.indexOf(from), 1)
  }

  /** Notes that this waiter is served before the first ones of the lower priorities. */
  servedBefore(waiter: Waiter<T>): void {
    if (this.#classes.length <= 1) return
    for (const each of this.#classes) {
      if (each.priority < waiter.priority && each.first !== undefined) each.passedOver++
    }
  }

  /** Those whose time has not begun, in order of arrival within a priority. */
  newcomers(): Waiter<T>[] {
    const newcomers: Waiter<T>[] = []
    for (const { last } of this.#classes) {
      let first: Waiter<T> | undefined
      for (let each = last; each?.runs === false; each = each.before) first = each
      for (; first !== undefined; first = first.behind) newcomers.push(first)
    }
    return newcomers
  }

  /** The first of those who wait: by priority, then in order of arrival. */
  inOrder(limit: number): Waiter<T>[] {
    const waiters: Waiter<T>[] = []
    for (const { first } of this.#classes) {
      for (let each = first; each !== undefined && waiters.length < limit; each = each.behind) waiters.push(each)
    }
    return waiters
  }

  /** Who has waited longest. */
  oldest(): Waiter<T> | undefined {
    let oldest: Waiter<T> | undefined
    for (const { first } of this.#classes) {
      if (first !== undefined && (oldest === undefined || first.queuedAt < oldest.queuedAt)) oldest = first
    }
    return oldest
  }

  /** Who came last to the lowest priority, where that is lower than this one. */
  newestBelow(priority: number): Waiter<T> | undefined {
    const lowest = this.#classes.at(-1)
    return lowest !== undefined && lowest.priority < priority ? lowest.last : undefined
  }

  #classFor(priority: number): PriorityClass<T> {
    const top = this.#classes[0]
    return top?.priority === priority ? top : this.#findClass(priority)
  }

  #findClass(priority: number): PriorityClass<T> {
    let index = this.#classes.findIndex((each) => each.priority <= priority)
    if (index < 0) index = this.#classes.length
    const found = this.#classes[index]
    if (found?.priority === priority) return found
    const added = new PriorityClass<T>(priority)
    this.#classes.splice(index, 0, added)
    return added
  }
}
