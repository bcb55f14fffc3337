import { writeSync } from 'node:fs'
import type { Events } from './events.ts'
import type { ResolvedOptions } from './options.ts'

/** What a pool warns of, once, with the mend. Stable, as `code` of the warning. */
export type MistakeCode =
  'MILLPOND_POOL_PER_REQUEST' | 'MILLPOND_MAX_ABOVE_SERVER' | 'MILLPOND_NO_DEADLINE' | 'MILLPOND_EXIT_WITH_LEASES'

/** What is asked of a pool: no more of its engine than this. */
export interface Suspect {
  readonly name: string
  readonly factory: { readonly target?: string | undefined }
  readonly options: Pick<ResolvedOptions, 'acquireTimeoutMillis' | 'createTimeoutMillis' | 'maxUseMillis'>
  readonly events: Events
  readonly inventory: { readonly leases: number }
}

/** The third pool for one target is one too many: one for the work, one beside it for reports, that is usual. */
const TOO_MANY = 3

interface OpenPools {
  /** Weakly: a pool that everybody forgot is not kept for a warning. */
  readonly pools: Set<WeakRef<Suspect>>
  readonly told: Set<string>
  onExit: (() => void) | undefined
  isEndingByItself: boolean
}

// On globalThis: the pools of a process are counted together, also those of another copy of this package.
const KEY = Symbol.for('millpond.openPools')

function openPools(): OpenPools {
  const holder = globalThis as Record<symbol, unknown>
  const known = holder[KEY] as OpenPools | undefined
  const open = known ?? { pools: new Set(), told: new Set(), onExit: undefined, isEndingByItself: false }
  holder[KEY] = open
  return open
}

/** Tests make pools by the hundred, and end without ceremony. */
export function isTest(): boolean {
  return (process.env['MILLPOND_PROFILE'] ?? process.env['NODE_ENV']) === 'test'
}

/** Says it once for whatever `about` names: as a warning of the process, and as an event. */
export function tellMistake(
  { name, events }: Pick<Suspect, 'name' | 'events'>,
  code: MistakeCode,
  about: string,
  message: string,
): void {
  if (!isNews(code, about)) return
  process.emitWarning(`pool "${name}": ${message}`, { type: 'MillpondWarning', code })
  if (!events.heard('mistake')) return
  events.queue('mistake', { pool: name, code, message })
  events.flush()
}

function isNews(code: MistakeCode, about: string): boolean {
  const { told } = openPools()
  const key = `${code} ${about}`
  if (isTest() || told.has(key)) return false
  told.add(key)
  return true
}

/** Looks at a pool that has just been made, and counts it among those that are open until it is closed. */
export function lookForMistakes(suspect: Suspect): void {
  if (isTest()) return
  const open = openPools()
  const ref = new WeakRef(suspect)
  open.pools.add(ref)
  watchExit(open)
  suspect.events.on('closed', () => {
    open.pools.delete(ref)
    if (open.pools.size === 0) unwatchExit(open)
  })
  lookForDeadlines(suspect)
  countPools(suspect, open)
}

function lookForDeadlines(suspect: Suspect): void {
  const { acquireTimeoutMillis, createTimeoutMillis, maxUseMillis } = suspect.options
  if (Math.min(acquireTimeoutMillis, createTimeoutMillis, maxUseMillis) < Infinity) return
  tellMistake(
    suspect,
    'MILLPOND_NO_DEADLINE',
    suspect.name,
    'it has no deadline anywhere: whoever waits for a server that does not answer waits for ever; set `acquireTimeoutMillis` and `createTimeoutMillis` (pg: `connectionTimeoutMillis`)',
  )
}

function countPools(suspect: Suspect, { pools }: OpenPools): void {
  const { target } = suspect.factory
  if (target === undefined) return
  let count = 0
  for (const ref of pools) {
    const other = ref.deref()
    if (other === undefined) pools.delete(ref)
    else if (other.factory.target === target) count++
  }
  if (count < TOO_MANY) return
  tellMistake(
    suspect,
    'MILLPOND_POOL_PER_REQUEST',
    target,
    `there are ${count} open pools for ${target} in this process; if one is made for every request or every reload, make one for the process and keep it (\`definePool\` does that)`,
  )
}

/** `process.exit` cuts what borrowers are at: transactions end unfinished, and nobody says so. */
function watchExit(open: OpenPools): void {
  if (open.onExit !== undefined) return
  open.onExit = () => {
    process.off('beforeExit', noteEnd)
    if (!open.isEndingByItself) tellOfLeases(open)
  }
  process.on('beforeExit', noteEnd)
  process.on('exit', open.onExit)
}

/** A process that has nothing left to do comes by here first; `process.exit` does not. */
function noteEnd(): void {
  openPools().isEndingByItself = true
}

function unwatchExit(open: OpenPools): void {
  process.off('beforeExit', noteEnd)
  if (open.onExit !== undefined) process.off('exit', open.onExit)
  open.onExit = undefined
}

function tellOfLeases({ pools }: OpenPools): void {
  const held = Array.from(pools, (ref) => ref.deref()).filter((pool) => pool !== undefined && pool.inventory.leases > 0)
  for (const pool of held) {
    if (pool === undefined || !isNews('MILLPOND_EXIT_WITH_LEASES', pool.name)) continue
    const { leases } = pool.inventory
    const message = `the process exits while ${leases === 1 ? '1 lease is' : `${leases} leases are`} out: what runs on ${leases === 1 ? 'it' : 'them'} is cut off; call \`registry.close()\`, or let \`registry.closeOnSignals()\` do it, before \`process.exit\``
    if (pool.events.heard('mistake')) {
      pool.events.queue('mistake', { pool: pool.name, code: 'MILLPOND_EXIT_WITH_LEASES', message })
      pool.events.flush()
    }
    // A warning would come a tick later, and there is none.
    sayNow(`(node:${process.pid}) [MILLPOND_EXIT_WITH_LEASES] MillpondWarning: pool "${pool.name}": ${message}\n`)
  }
}

function sayNow(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // Nobody reads it.
  }
}
