import type { Scope } from './nesting.ts'

/** Who asks, without a signal of its own. */
export interface Asker {
  /** It has no use any more for what it asked for. */
  readonly gaveUp: boolean
}

/** What comes with an acquire. Most come with nothing, and what they wait with and get carries nothing. */
export interface Request {
  readonly label: string | undefined
  /** Where it was made, when stacks are tracked. Its text is made only when somebody reads it. */
  readonly stack: Error | undefined
  /** The `use` callback that waits, if it is one. */
  readonly scope: Scope | undefined
  readonly signal: AbortSignal | undefined
  /** In place of a signal. */
  readonly asker: Asker | undefined
  /** It was not served at once. */
  waited: boolean
  /** What was read of the caller when it began to wait, where somebody wants that. */
  caller: unknown
}

/** A request with what there is of it, in the one order that makes all of them alike to the compiler. */
export function newRequest({ label, stack, scope, signal, asker, caller }: Partial<Request>): Request {
  return { label, stack, scope, signal, asker, waited: false, caller }
}
