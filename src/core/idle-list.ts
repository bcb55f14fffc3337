import type { Entry } from './entry.ts'

/** What is free to be handed out, in the order in which it is. */
export interface Available<T> {
  readonly size: number
  /** The next to hand out. */
  peek(): Entry<T> | undefined
  /** A resource that was in use. */
  add(entry: Entry<T>): void
  /** A resource that was only checked: it goes back to where it was coldest, so that checking keeps nothing warm. */
  addCold(entry: Entry<T>): void
  remove(entry: Entry<T>): void
  /** The one that would be handed out last. */
  coldest(): Entry<T> | undefined
  /** The one before it in that order. */
  warmer(entry: Entry<T>): Entry<T> | undefined
}

/**
 * A doubly linked list from the coldest to the warmest:
 *
 *     coldest ⇄ … ⇄ … ⇄ warmest
 *      ▲ fifo hands out here      ▲ lifo hands out here; a release adds here
 */
export class IdleList<T> implements Available<T> {
  readonly #lifo: boolean
  #coldest: Entry<T> | undefined
  #warmest: Entry<T> | undefined
  #size = 0

  constructor(order: 'lifo' | 'fifo') {
    this.#lifo = order === 'lifo'
  }

  get size(): number {
    return this.#size
  }

  peek(): Entry<T> | undefined {
    return this.#lifo ? this.#warmest : this.#coldest
  }

  add(entry: Entry<T>): void {
    entry.listed = true
    entry.previous = this.#warmest
    if (this.#warmest === undefined) this.#coldest = entry
    else this.#warmest.next = entry
    this.#warmest = entry
    this.#size++
  }

  addCold(entry: Entry<T>): void {
    entry.listed = true
    entry.next = this.#coldest
    if (this.#coldest === undefined) this.#warmest = entry
    else this.#coldest.previous = entry
    this.#coldest = entry
    this.#size++
  }

  remove(entry: Entry<T>): void {
    if (!entry.listed) return
    entry.listed = false
    if (entry.previous === undefined) this.#coldest = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.#warmest = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
    this.#size--
  }

  coldest(): Entry<T> | undefined {
    return this.#coldest
  }

  warmer(entry: Entry<T>): Entry<T> | undefined {
    return entry.next
  }
}

/**
 * For resources that carry several leases: an {@link IdleList} for every number of leases, the fewest first. The list
 * for 0 holds the idle ones, and what is idle is all that maintenance may look at.
 */
export class LeastLeased<T> implements Available<T> {
  readonly #byLeases: IdleList<T>[] = []
  readonly #order: 'lifo' | 'fifo'
  readonly #listOf = new Map<Entry<T>, IdleList<T>>()

  constructor(order: 'lifo' | 'fifo') {
    this.#order = order
  }

  get size(): number {
    return this.#listOf.size
  }

  peek(): Entry<T> | undefined {
    for (const list of this.#byLeases) {
      const entry = list.peek()
      if (entry !== undefined) return entry
    }
    return undefined
  }

  add(entry: Entry<T>): void {
    this.#listFor(entry).add(entry)
  }

  addCold(entry: Entry<T>): void {
    this.#listFor(entry).addCold(entry)
  }

  remove(entry: Entry<T>): void {
    this.#listOf.get(entry)?.remove(entry)
    this.#listOf.delete(entry)
  }

  coldest(): Entry<T> | undefined {
    return this.#byLeases[0]?.coldest()
  }

  warmer(entry: Entry<T>): Entry<T> | undefined {
    return entry.next
  }

  #listFor(entry: Entry<T>): IdleList<T> {
    while (this.#byLeases.length <= entry.leases) this.#byLeases.push(new IdleList(this.#order))
    const list = this.#byLeases[entry.leases] as IdleList<T>
    this.#listOf.set(entry, list)
    return list
  }
}
