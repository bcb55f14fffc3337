import type { ManagedPool } from '../core/managed-pool.ts'
import { fileKeyOf, optionsOf, type OptionName } from './option-table.ts'
import type { PoolConfig } from './pool-config.ts'
import { showValue, type ConfigNotice } from './settings.ts'

/** What `reload` did. */
export interface ReloadReport {
  /** Pools that have other sizes now. */
  readonly resized: readonly { readonly pool: string; readonly min: number; readonly max: number }[]
  /** Pools whose sizes changed in the configuration and not in the pool, and why. Each is among the notices as well. */
  readonly unchanged: readonly { readonly pool: string; readonly reason: string }[]
  /** What changed and holds from the next start on. */
  readonly notices: readonly ConfigNotice[]
}

type Sizes = Readonly<Record<'min' | 'max', number>>

interface Resizable {
  resize(sizes: { min: number; max: number }): void
}

/** Takes over what can be taken over while pools run: sizes. */
export function reloadPools(
  pools: ReadonlyMap<string, ManagedPool>,
  before: ReadonlyMap<string, PoolConfig>,
  after: ReadonlyMap<string, PoolConfig>,
): ReloadReport {
  const resized: { pool: string; min: number; max: number }[] = []
  const unchanged: { pool: string; reason: string }[] = []
  const notices: ConfigNotice[] = []
  const restart = (pool: string, message: string, option?: OptionName): void => {
    notices.push({ code: 'MILLPOND_CONFIG_RELOAD', pool, ...(option === undefined ? {} : { option }), message })
  }
  for (const [name, config] of after) {
    const [pool, old] = [pools.get(name), before.get(name)]
    if (pool === undefined || old === undefined) {
      restart(name, 'is new; it is made at the next start')
      continue
    }
    if (old.kind !== config.kind) {
      restart(name, `is of kind ${config.kind} now, and of kind ${old.kind} until the next start`)
      continue
    }
    const changed = optionsOf(config.kind).filter(
      (option) => old.setting(option).value !== config.setting(option).value,
    )
    const sizes = { min: config.setting('min').value as number, max: config.setting('max').value as number }
    const isResized = changed.includes('max') || changed.includes('min')
    const reason = isResized ? resize(pool, sizes) : undefined
    if (reason !== undefined) unchanged.push({ pool: name, reason })
    else if (isResized) resized.push({ pool: name, ...sizes })
    for (const option of changed) {
      const isSize = option === 'max' || option === 'min'
      if (isSize && reason === undefined) continue
      const [from, to] = [showValue(option, old.setting(option).value), showValue(option, config.setting(option).value)]
      const why = isSize ? `: ${reason}` : ''
      restart(
        name,
        `\`${fileKeyOf(option)}\` changed${from === to ? '' : ` from ${from} to ${to}`}; it holds from the next start on${why}`,
        option,
      )
    }
  }
  for (const name of before.keys())
    if (!after.has(name)) restart(name, 'is configured no more; it is left as it is until the next start')
  return { resized, unchanged, notices }
}

/** Resizes a running pool, or says why it stays as it is. */
function resize(pool: ManagedPool, sizes: Sizes): string | undefined {
  if (pool.state === 'closed' || pool.state === 'closing') return `the pool is ${pool.state}`
  const resizable = resizableOf(pool)
  if (resizable === undefined) {
    return pool.kind === 'mongodb'
      ? 'MongoDB’s driver takes the sizes of its pools when the client is made, and has no way to change them'
      : 'the pool has no `resize`'
  }
  try {
    resizable.resize(sizes)
    return undefined
  } catch (error) {
    // The other pools of the file are not held up by it.
    return error instanceof Error ? error.message : String(error)
  }
}

/** Whatever resizes the pool: itself, or the engine behind a face. */
function resizableOf(pool: ManagedPool): Resizable | undefined {
  return [pool, pool.core].find(
    (one): one is ManagedPool & Resizable => typeof (one as Partial<Resizable> | undefined)?.resize === 'function',
  )
}
