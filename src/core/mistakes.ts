import { writeSync } from 'node:fs'
import type { Events } from './events.ts'
import type { ResolvedOptions } from './options.ts'

/** What a pool warns of, once, with the mend. Stable, as `code` of the warning. */
export type MistakeCode =
  'MILLPOND_POOL_PER_REQUEST' | 'MILLPOND_MAX_ABOVE_SERVER' | 'MILLPOND_NO_DEADLINE' | 'MILLPOND_EXIT_WITH_LEASES'

/** What is asked of a pool: no more of its engine than this. */
export interface Suspect {
  readonly name: string
  readonly factory: {
    readonly target?: string | undefined
    /** What its user calls the whole of which this pool is a part. @defaultValue the pool's own name */
    readonly partOf?: string | undefined
    isHeldOnPurpose?(resource: never): boolean
  }
  readonly options: Pick<ResolvedOptions, 'acquireTimeoutMillis' | 'createTimeoutMillis' | 'maxUseMillis'>
  readonly events: Events
  readonly inventory: {
    readonly leases: number
    entries?(): Iterable<{ readonly leases: number; readonly resource: unknown }>
  }
  /** What bounds it, in its own words. @defaultValue the engine's options */
  readonly deadlineMend?: string
}

/** What a server says of its connections. */
export interface Room {
  /** How many ordinary users may have. */
  readonly usable: number
  /** Of these, how many nobody has yet; the one that asked is none of them. */
  readonly free: number
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
    `it has no deadline anywhere: whoever waits for a server that does not answer waits for ever; set ${suspect.deadlineMend ?? '`acquireTimeoutMillis` and `createTimeoutMillis` (pg: `connectionTimeoutMillis`)'}`,
  )
}

function countPools(suspect: Suspect, { pools }: OpenPools): void {
  const { target, partOf = suspect.name } = suspect.factory
  if (target === undefined) return
  let count = 0
  for (const ref of pools) {
    const other = ref.deref()
    if (other === undefined) pools.delete(ref)
    else if (other.factory.target === target) count++
  }
  if (count < TOO_MANY) return
  tellMistake(
    { name: partOf, events: suspect.events },
    'MILLPOND_POOL_PER_REQUEST',
    target,
    `there are ${count} open pools for ${target} in this process; if one is made for every request or every reload, make one for the process and keep it (\`definePool\` does that)`,
  )
}

/**
 * Says so where a pool may open more connections than its server has left. The server is asked by the first connection,
 * before anybody has it; a pool of one is not worth a question.
 *
 * @param ask - nothing where the server does not say
 * @param setting - what the server calls its limit
 */
export async function lookForRoom(
  suspect: Pick<Suspect, 'name' | 'events'> & {
    readonly sizes: { readonly max: number }
    readonly inventory: { readonly open: number; readonly creating: number }
  },
  setting: string,
  ask: () => Promise<Room | undefined>,
): Promise<void> {
  if (isTest() || suspect.sizes.max === 1) return
  const room = await ask()
  if (room === undefined) return
  const { inventory } = suspect
  const { max } = suspect.sizes
  // Its own connections that are on their way count as taken there.
  const left = Math.max(0, Math.min(room.usable, room.free + inventory.open + inventory.creating))
  if (max <= left) return
  tellMistake(
    suspect,
    'MILLPOND_MAX_ABOVE_SERVER',
    suspect.name,
    `\`max\` is ${max}, and the server has ${left} connections left of ${room.usable}: lower \`max\` so that all instances together fit, raise the server's \`${setting}\`, or put a pooler in between`,
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
  for (const ref of pools) {
    const pool = ref.deref()
    const leases = pool === undefined ? 0 : unfinished(pool)
    if (pool === undefined || leases === 0 || !isNews('MILLPOND_EXIT_WITH_LEASES', pool.name)) continue
    const message = `the process exits while ${leases === 1 ? '1 lease is' : `${leases} leases are`} out: what runs on ${leases === 1 ? 'it' : 'them'} is cut off; call \`registry.close()\`, or let \`registry.closeOnSignals()\` do it, before \`process.exit\``
    if (pool.events.heard('mistake')) {
      pool.events.queue('mistake', { pool: pool.name, code: 'MILLPOND_EXIT_WITH_LEASES', message })
      pool.events.flush()
    }
    // A warning would come a tick later, and there is none.
    sayNow(`(node:${process.pid}) [MILLPOND_EXIT_WITH_LEASES] MillpondWarning: pool "${pool.name}": ${message}\n`)
  }
}

/** Leases that are out; who only listens has nothing that is cut off. */
function unfinished({ factory, inventory }: Suspect): number {
  if (factory.isHeldOnPurpose === undefined || inventory.entries === undefined) return inventory.leases
  let leases = 0
  for (const entry of inventory.entries())
    if (entry.leases > 0 && !isListening(factory, entry.resource)) leases += entry.leases
  return leases
}

function isListening(factory: Suspect['factory'], resource: unknown): boolean {
  try {
    return factory.isHeldOnPurpose?.(resource as never) === true
  } catch {
    return false
  }
}

function sayNow(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // Nobody reads it.
  }
}
