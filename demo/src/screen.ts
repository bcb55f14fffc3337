import type { PoolStats } from 'millpond'

export interface Row {
  readonly phase: string
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly errors: number
  readonly stats: PoolStats
}

const WIDTHS = [12, 8, 9, 9, 7, 6, 6, 9, 8] as const
const HEAD = ['phase', 'req/s', 'p50 ms', 'p99 ms', 'errors', 'idle', 'used', 'opening', 'waiting'] as const

function line(cells: readonly string[]): string {
  return (
    cells.map((cell, index) => (index === 0 ? cell.padEnd(WIDTHS[0]) : cell.padStart(WIDTHS[index] ?? 8))).join('') +
    '  '
  )
}

function cellsOf({ phase, requestsPerSecond, p50, p99, errors, stats }: Row): string[] {
  return [
    phase,
    requestsPerSecond.toFixed(0),
    p50.toFixed(1),
    p99.toFixed(1),
    String(errors),
    ...[stats.idle, stats.used, stats.creating, stats.waiting].map(String),
  ]
}

/** A table that is drawn anew on a terminal, and grows line by line elsewhere. */
export class Screen {
  readonly #isLive: boolean
  readonly #rows: { phase: string; text: string }[] = []
  #drawn = 0

  constructor(isLive: boolean) {
    this.#isLive = isLive
  }

  progress(text: string): void {
    console.log(text)
  }

  begin(): void {
    if (!this.#isLive) console.log(`\n${line(HEAD)}state`)
  }

  show(row: Row): void {
    const text = line(cellsOf(row)) + row.stats.state
    if (!this.#isLive) {
      console.log(text)
      return
    }
    // One line per phase, the last one alive; under it the pool as a bar.
    const last = this.#rows.at(-1)
    if (last?.phase === row.phase) last.text = text
    else this.#rows.push({ phase: row.phase, text })
    this.#draw(row.stats)
  }

  #draw({ idle, used, creating, max, acquired, created }: PoolStats): void {
    const bar = '█'.repeat(used) + '▒'.repeat(idle) + '·'.repeat(creating)
    const lines = [
      '',
      `\x1b[1m${line(HEAD)}state\x1b[0m`,
      ...this.#rows.map(({ text }, index) => (index === this.#rows.length - 1 ? text : `\x1b[2m${text}\x1b[0m`)),
      '',
      `pool  ${bar.padEnd(max)}│ max ${max}   █ used  ▒ idle  · opening`,
      `      ${acquired} leases over ${created} connections`,
    ]
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : ''
    process.stdout.write(up + lines.map((each) => `${each}\x1b[K\n`).join(''))
    this.#drawn = lines.length
  }
}
