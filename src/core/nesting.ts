import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * One running `use` callback. Scopes form a chain: a callback inside another one's callback sees both, callbacks side
 * by side do not see each other.
 */
export class Scope {
  /** The pool whose resource the callback holds. */
  readonly pool: object
  readonly outer: Scope | undefined
  /** How many acquires wait inside this callback, for whichever pool. */
  waiting = 0
  /** Over once the callback has ended; detached work that it left behind holds nothing any more. */
  over = false

  constructor(pool: object, outer: Scope | undefined) {
    this.pool = pool
    this.outer = outer
  }
}

// One storage for all pools, also those of another copy of this package in the process: a callback of one pool may wait
// for another. It is made with the first scope, because on older Node versions every promise of the process pays for a
// storage that exists.
const STORAGE = Symbol.for('millpond.scopes')
const shared = globalThis as { [STORAGE]?: AsyncLocalStorage<Scope> }

/** The innermost `use` callback that the caller runs in. */
export function currentScope(): Scope | undefined {
  return shared[STORAGE]?.getStore()
}

/** The innermost enclosing callback that holds a resource of this pool. */
export function enclosingScope(scope: Scope | undefined, pool: object): Scope | undefined {
  for (let each = scope; each !== undefined; each = each.outer) {
    if (each.pool === pool && !each.over) return each
  }
  return undefined
}

/** Runs the callback of `use` as a scope of its own. */
export function runInScope<R>(scope: Scope, callback: () => R): R {
  const storage = shared[STORAGE] ?? new AsyncLocalStorage<Scope>()
  shared[STORAGE] = storage
  return storage.run(scope, callback)
}

/** Notes that an acquire begins (+1) or ends (-1) to wait inside these callbacks. */
export function countWaiting(scope: Scope | undefined, change: 1 | -1): void {
  for (let each = scope; each !== undefined; each = each.outer) each.waiting += change
}
