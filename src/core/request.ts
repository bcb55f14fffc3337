import type { Scope } from './nesting.ts'

/** What comes with an acquire. Most come with nothing, and what they wait with and get carries nothing. */
export interface Request {
  readonly label: string | undefined
  /** Where it was made, when stacks are tracked. Its text is made only when somebody reads it. */
  readonly stack: Error | undefined
  /** The `use` callback that waits, if it is one. */
  readonly scope: Scope | undefined
  readonly signal: AbortSignal | undefined
  /** It was not served at once. */
  waited: boolean
}
