import { describeRule } from '../core/option-check.ts'
import { KIND_NAMES, type Kind } from './kinds.ts'
import { fallbackOf, fileKeyOf, optionsOf, rowOf, variablesOf, type OptionName } from './option-table.ts'
import { showValue } from './settings.ts'
import { expectation } from './values.ts'

/** What a program says of one option when asked for help. */
export interface OptionHelp {
  readonly option: OptionName
  /** Its key in files. */
  readonly key: string
  /** The ending of its variables, behind the pool's prefix: `POOL_IDLE_TIMEOUT`. */
  readonly variable: string
  /** What a value may be, in files and variables. */
  readonly expected: string
  /** What a value may be in code. */
  readonly inCode: string
  /** With its unit; nothing where nothing is set. */
  readonly fallback: string | undefined
  /** What the driver calls it. */
  readonly driverNames: readonly string[]
  readonly docs: string
}

/** All options of a kind, for help texts and pages. */
export function optionHelp(kind: Kind): OptionHelp[] {
  return optionsOf(kind).map((option) => {
    const row = rowOf(option)
    const fallback = fallbackOf(option, kind)
    return {
      option,
      key: fileKeyOf(option),
      variable: variablesOf(option)[0] ?? '',
      expected: expectation(row),
      inCode: describeRule(row.rule),
      fallback: fallback === undefined ? undefined : showValue(option, fallback),
      driverNames: row.drivers?.[kind] ?? [],
      docs: row.docs,
    }
  })
}

/** The help of a kind as text: what `--help` prints. */
export function helpText(kind: Kind, pool = 'orders'): string {
  const prefix = pool.toUpperCase()
  const { urls, example } = KIND_NAMES[kind]
  const lines = optionHelp(kind).map(({ key, variable, expected, fallback, docs }) => {
    const usual = fallback === undefined ? '' : ` (default: ${fallback})`
    return `  ${key}, ${prefix}_${variable}\n      ${docs}\n      ${expected}${usual}`
  })
  return `Options of a ${kind} pool called "${pool}", in a file and in the environment

  ${example}
  in ${prefix}_URL, else in ${urls.join(', ')}

${lines.join('\n')}
`
}
