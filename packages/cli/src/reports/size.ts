import type { MeasuredLoad, SizeAnswer } from 'millpond/sizing'
import type { Io } from '../io.ts'
import { painter, wrap } from '../terminal.ts'

/** What was measured of a running pool, and what follows. */
export interface MeasuredSize {
  readonly pool: string
  readonly kind: string
  /** The present one; null where there is no limit. */
  readonly max: number | null
  readonly measured: MeasuredLoad
  /** Null where nothing was asked of the pool. */
  readonly answer: SizeAnswer | null
  /** Whether several leases share a connection: the answer counts leases then. */
  readonly multiplexed: boolean
}

/** The answer, each reason in a line of its own, and what does not fit together. */
export function sizeReport({ max, min, decidedBy, reasons, warnings }: SizeAnswer, io: Io): string {
  const paint = painter(io)
  const lines = [
    `  ${paint(`max ${max}`, 'bold', 'green')}, ${paint(`min ${min}`, 'bold')} ${paint(`for each instance, decided by ${decidedBy}`, 'dim')}`,
    '',
  ]
  for (const { name, perInstance, why } of reasons) {
    const [first = '', ...more] = wrap(why, io.width - 26)
    lines.push(
      `  ${paint(name.padEnd(14), name === decidedBy ? 'green' : 'cyan')} ${String(perInstance).padStart(5)}  ${first}`,
      ...more.map((line) => `${' '.repeat(24)}${line}`),
    )
  }
  for (const warning of warnings) lines.push('', note(warning, io))
  return lines.join('\n')
}

/** The same for each running pool, with what was measured of it. */
export function measuredReport(pools: readonly MeasuredSize[], io: Io): string {
  const paint = painter(io)
  return pools
    .map(({ pool, kind, max, measured, answer, multiplexed }) => {
      const now = max === null ? 'no limit now' : `max ${max} now`
      const head = `  ${paint(pool, 'bold')}  ${paint(`${kind}, ${now}`, 'dim')}`
      if (answer === null) return `${head}\n\n  Nothing was asked of it meanwhile: there is nothing to compute from.`
      const parts = [head, `  ${paint(shown(measured), 'dim')}`, '', sizeReport(answer, io)]
      if (max !== null && !multiplexed) parts.push('', `  ${compared(max, answer.max)}`)
      if (multiplexed)
        parts.push(
          '',
          note(
            'Several leases share a connection of this pool: the numbers count leases. Divide by how many one carries.',
            io,
          ),
        )
      return parts.join('\n')
    })
    .join('\n\n')
}

function note(text: string, io: Io): string {
  return `  ${painter(io)('!', 'yellow', 'bold')} ${wrap(text, io.width - 4).join('\n    ')}`
}

const figure = (value: number): string => (value < 10 ? value.toFixed(value < 1 ? 2 : 1) : String(Math.round(value)))

function shown({ ratePerSecond, useMillis, busy, acquireMillis, waitedShare }: MeasuredLoad): string {
  return `${figure(ratePerSecond)} a second × ${figure(useMillis)} ms = ${figure(busy)} at work; ${(waitedShare * 100).toFixed(1)} % had to wait, ${figure(acquireMillis)} ms on average`
}

function compared(now: number, wanted: number): string {
  if (wanted > now) return `Larger than now: ${now} are too few for this load.`
  if (wanted < now / 2)
    return `${now} are more than this load needs; look again when it is highest before you take any away.`
  return `${now} fit.`
}
