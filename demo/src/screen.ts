import type { PoolStats } from 'millpond'

export interface Row {
  readonly phase: string
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly errors: number
  readonly pools: readonly PoolStats[]
}

interface Column<R> {
  readonly head: string
  readonly width: number
  readonly cell: (row: R) => string
}

const LOAD: readonly Column<Row>[] = [
  { head: 'phase', width: -14, cell: ({ phase }) => phase },
  { head: 'req/s', width: 8, cell: ({ requestsPerSecond }) => requestsPerSecond.toFixed(0) },
  { head: 'p50 ms', width: 9, cell: ({ p50 }) => p50.toFixed(1) },
  { head: 'p99 ms', width: 9, cell: ({ p99 }) => p99.toFixed(1) },
  { head: 'errors', width: 8, cell: ({ errors }) => String(errors) },
]

const POOLS: readonly Column<PoolStats>[] = [
  { head: 'pool', width: -10, cell: ({ name }) => name },
  { head: 'of', width: -10, cell: ({ kind }) => kind },
  { head: 'used', width: 6, cell: ({ used }) => String(used) },
  { head: 'idle', width: 6, cell: ({ idle }) => String(idle) },
  { head: 'opening', width: 9, cell: ({ creating }) => String(creating) },
  { head: 'waiting', width: 9, cell: ({ waiting }) => String(waiting) },
  { head: 'max', width: 6, cell: ({ max }) => (Number.isFinite(max) ? String(max) : '∞') },
  { head: 'leases', width: 9, cell: ({ acquired }) => String(acquired) },
  { head: 'opened', width: 8, cell: ({ created }) => String(created) },
]

/** Ends with the state, which is as long as it is. */
const line = (cells: readonly string[], columns: readonly { readonly width: number }[], state: string): string =>
  cells
    .map((cell, index) => {
      const width = columns[index]?.width ?? 8
      return width < 0 ? cell.padEnd(-width) : cell.padStart(width)
    })
    .join('') + (state === '' ? '' : `  ${state}`)

const loadHead = line(
  LOAD.map(({ head }) => head),
  LOAD,
  '',
)
const poolHead = line(
  POOLS.map(({ head }) => head),
  POOLS,
  'state',
)
const loadLine = (row: Row): string =>
  line(
    LOAD.map(({ cell }) => cell(row)),
    LOAD,
    '',
  )
const poolLine = (stats: PoolStats): string =>
  line(
    POOLS.map(({ cell }) => cell(stats)),
    POOLS,
    stats.state,
  )

/** Pools that are not simply open, in a few words; nothing where all are. */
const trouble = (pools: readonly PoolStats[]): string =>
  pools
    .filter(({ state }) => state !== 'open')
    .map(({ name, state }) => `${name} ${state}`)
    .join(', ')

/** A table that is drawn anew on a terminal, and grows line by line elsewhere, with the pools at the end of each phase. */
export class Screen {
  readonly #isLive: boolean
  readonly #rows: Row[] = []
  #drawn = 0

  constructor(isLive: boolean) {
    this.#isLive = isLive
  }

  progress(text: string): void {
    console.log(text)
  }

  begin(): void {
    if (!this.#isLive) console.log(`\n${loadHead}`)
  }

  show(row: Row): void {
    const last = this.#rows.at(-1)
    if (last?.phase === row.phase) this.#rows[this.#rows.length - 1] = row
    else this.#rows.push(row)
    if (this.#isLive) this.#draw(row.pools)
    else console.log(`${loadLine(row)}  ${trouble(row.pools)}`.trimEnd())
  }

  /** A phase is over. */
  endPhase(pools: readonly PoolStats[]): void {
    if (!this.#isLive)
      console.log(['', `  ${poolHead}`, ...pools.map((stats) => `  ${poolLine(stats)}`), ''].join('\n'))
  }

  #draw(pools: readonly PoolStats[]): void {
    const lines = [
      '',
      `\x1b[1m${loadHead}\x1b[0m`,
      ...this.#rows.map((row, index) =>
        index === this.#rows.length - 1 ? loadLine(row) : `\x1b[2m${loadLine(row)}\x1b[0m`,
      ),
      '',
      `\x1b[1m${poolHead}\x1b[0m`,
      ...pools.map((stats) => `${stateColour(stats)}${poolLine(stats)}\x1b[0m  ${bar(stats)}`),
    ]
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : ''
    process.stdout.write(up + lines.map((each) => `${each}\x1b[K\n`).join('') + '\x1b[J')
    this.#drawn = lines.length
  }
}

const stateColour = ({ state, waiting }: PoolStats): string =>
  state === 'paused' ? '\x1b[31m' : state !== 'open' || waiting > 0 ? '\x1b[33m' : ''

/** Used, idle and being opened, to scale. */
function bar({ used, idle, creating, max }: PoolStats): string {
  const scale = Number.isFinite(max) && max > 20 ? 20 / max : 1
  const part = (count: number, sign: string): string => sign.repeat(Math.min(20, Math.ceil(count * scale)))
  return `${part(used, '█')}${part(idle, '▒')}${part(creating, '·')}`
}
