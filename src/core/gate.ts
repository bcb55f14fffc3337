import type { Entry } from './entry.ts'
import type { Available } from './idle-list.ts'

/**
 * Stands in front of what is free and lets out only so many at once: for whoever looks for the number of leases that a
 * server serves best. The resources stay open. A pool without a gate has none of this on its way.
 */
export class Gate<T> implements Available<T> {
  readonly behind: Available<T>
  readonly #leases: () => number
  limit: number

  constructor(behind: Available<T>, limit: number, leases: () => number) {
    this.behind = behind
    this.limit = limit
    this.#leases = leases
  }

  get size(): number {
    return this.behind.size
  }

  peek(): Entry<T> | undefined {
    return this.#leases() >= this.limit ? undefined : this.behind.peek()
  }

  add(entry: Entry<T>): void {
    this.behind.add(entry)
  }

  addCold(entry: Entry<T>): void {
    this.behind.addCold(entry)
  }

  remove(entry: Entry<T>): void {
    this.behind.remove(entry)
  }

  coldestFirst(): readonly Entry<T>[] {
    return this.behind.coldestFirst()
  }
}
