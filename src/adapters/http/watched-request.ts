import type { AsyncResource } from 'node:async_hooks'
import type { Operations } from '../../core/operations.ts'
import { routeOf } from './route.ts'

/** What is told of a request. */
interface Named {
  readonly method: string
  readonly path: string
  readonly label?: string | undefined
}

/**
 * One request, as those hear of it who listen for slow operations: from when it was made to the beginning of its answer.
 * How fast a body comes depends on who reads it, and some never end. Made only where somebody listens.
 */
export class WatchedRequest {
  readonly #operations: Operations
  readonly #named: Named
  readonly #madeAt: number
  /** In which it was made: answers come in that of whoever opened the connection. */
  readonly #caller: AsyncResource
  #waitMillis = 0
  /** Since when it has no connection. */
  #idleSince: number | undefined
  #isTold = false

  constructor(operations: Operations, named: Named, caller: AsyncResource) {
    this.#caller = caller
    this.#operations = operations
    this.#named = named
    this.#madeAt = operations.now()
    this.#idleSince = this.#madeAt
  }

  /** It goes out on a connection. */
  sent(): void {
    if (this.#idleSince !== undefined) this.#waitMillis += this.#operations.now() - this.#idleSince
    this.#idleSince = undefined
  }

  /** It has lost its connection, and may get another one. */
  idle(): void {
    this.#idleSince ??= this.#operations.now()
  }

  /** Its answer has begun, or will never. */
  over(failed: boolean): void {
    if (this.#isTold) return
    this.#isTold = true
    this.sent()
    const { method, path, label } = this.#named
    const waitMillis = this.#waitMillis
    const describe = (): string => `${method} ${routeOf(path)}`
    const inContext = (announce: () => void): void => this.#caller.runInAsyncScope(announce)
    this.#operations.ended({ describe, label, waitMillis, inContext }, this.#madeAt + waitMillis, failed)
  }
}
