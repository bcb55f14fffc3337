import type { OptionRule } from '../core/option-check.ts'
import type { Kind } from './kinds.ts'

/** One option: everything that anybody asks about it. */
export interface OptionRow {
  /** What it is about: where the server is, how the pool behaves, or what the driver is told. */
  readonly group: 'connection' | 'pool' | 'driver'
  /** What a value may be. Durations are milliseconds in code, and texts with a unit in files and variables. */
  readonly rule: OptionRule
  /** Numbers above it are refused. @defaultValue no bound */
  readonly most?: number
  /** Words that are values too. */
  readonly words?: readonly string[]
  /** Whose pools take it. @defaultValue all */
  readonly kinds?: readonly Kind[]
  /** Masked wherever it is shown, and read from a file where `<VARIABLE>_FILE` names one. */
  readonly secret?: true
  /** Where nobody says anything. Absent: nothing is set. */
  readonly fallback?: number | string | boolean
  /** Where an adapter keeps its driver's default. */
  readonly fallbacks?: Readonly<Partial<Record<Kind, number | string | boolean>>>
  /** Further endings of its variable behind `<PREFIX>POOL_`. */
  readonly suffixes?: readonly string[]
  /** What the adapter is told, where that is another name. */
  readonly as?: Readonly<Partial<Record<Kind, string>>>
  /** What the driver calls it: for those who come with its name. */
  readonly drivers?: Readonly<Partial<Record<Kind, readonly string[]>>>
  /** One or two sentences. */
  readonly docs: string
}
