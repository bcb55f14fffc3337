import type { Pooler } from './pooler.ts'

/** What a server says of itself. */
export interface ServerFacts {
  readonly version: string
  readonly connectMillis: number
  readonly pingMillis: number
  /** How many connections it grants to programs such as this. */
  readonly limit: number
  /** How the limit came about. */
  readonly limitNote: string
  /** How many it has now. */
  readonly used: number
  /** After how long it ends a connection that nobody uses; Infinity: never. */
  readonly idleLimitMillis: number
  readonly idleLimitName: string
  readonly tls: boolean
  /** What stands between us and the server, where something does. */
  readonly pooler?: Pooler
  readonly transactionsUnbounded?: boolean
}
