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
  /** The idle ones as they are now; the first was idle longest. */
  coldestFirst(): readonly Entry<T>[]
}

/**
 * A stack, from the coldest to the warmest:
 *
 *     [ coldest, …, …, warmest ]
 *        ▲ fifo hands out here  ▲ lifo hands out here; a release adds here
 *
 * Whatever is taken out elsewhere moves the rest: a pool is small, and only maintenance does that (and `fifo`).
 */
export class IdleList<T> implements Available<T> {
  readonly #lifo: boolean
  readonly #entries: Entry<T>[] = []

  constructor(order: 'lifo' | 'fifo') {
    this.#lifo = order === 'lifo'
  }

  get size(): number {
    return this.#entries.length
  }

  peek(): Entry<T> | undefined {
    const { length } = this.#entries
    return length === 0 ? undefined : this.#entries[this.#lifo ? length - 1 : 0]
  }

  add(entry: Entry<T>): void {
    entry.listed = true
    this.#entries.push(entry)
  }

  addCold(entry: Entry<T>): void {
    entry.listed = true
    this.#entries.unshift(entry)
  }

  remove(entry: Entry<T>): void {
    if (!entry.listed) return
    entry.listed = false
    if (this.#entries.at(-1) === entry) this.#entries.pop()
    else this.#entries.splice(this.#entries.indexOf(entry), 1)
  }

  coldestFirst(): readonly Entry<T>[] {
    return [...this.#entries]
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

  coldestFirst(): readonly Entry<T>[] {
    return this.#byLeases[0]?.coldestFirst() ?? []
  }

  #listFor(entry: Entry<T>): IdleList<T> {
    while (this.#byLeases.length <= entry.leases) this.#byLeases.push(new IdleList(this.#order))
    const list = this.#byLeases[entry.leases] as IdleList<T>
    this.#listOf.set(entry, list)
    return list
  }
}
