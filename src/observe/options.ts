import { OptionError } from '../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../core/option-check.ts'

export interface ObserveOptions {
  /** The name in statistics, metrics and logs. @defaultValue the kind of pool: 'postgres', 'mysql', … */
  name?: string | undefined
  /** From when on waits and uses are told of, as `longWait` and `longLease`, in milliseconds; `Infinity` is off. @defaultValue 1_000 */
  slowMillis?: number | undefined
  /** Reports what is borrowed for longer, as `leak`, in milliseconds; `Infinity` is off. @defaultValue Infinity */
  leakThresholdMillis?: number | undefined
  /** Whether such a report says where it was borrowed. @defaultValue true when `leakThresholdMillis` is finite */
  trackStacks?: boolean | undefined
}

const RULES: Readonly<Record<keyof ObserveOptions, OptionRule>> = {
  name: { type: 'string' },
  slowMillis: { type: 'duration', infinity: true },
  leakThresholdMillis: { type: 'duration', infinity: true },
  trackStacks: { type: 'boolean' },
}

/** @throws {OptionError} on a wrong value, or an unknown option with the nearest name */
export function checkOptions(options: ObserveOptions): void {
  const name = typeof options.name === 'string' ? options.name : 'observed'
  for (const [option, value] of Object.entries(options)) {
    const rule = Object.hasOwn(RULES, option) ? RULES[option as keyof ObserveOptions] : undefined
    if (rule === undefined) {
      const nearest = nearestName(option, Object.keys(RULES))
      const hint = nearest === undefined ? `known are ${Object.keys(RULES).join(', ')}` : `did you mean \`${nearest}\`?`
      throw new OptionError(name, option, `Unknown option \`${option}\`; ${hint}`)
    }
    if (value !== undefined) checkOption(name, option, value, rule)
  }
}
