import type { ManagedPool } from '../core/managed-pool.ts'
import { fileKeyOf, optionsOf, type OptionName } from './option-table.ts'
import type { PoolConfig } from './pool-config.ts'
import { showValue, type ConfigNotice } from './settings.ts'

/** What `reload` did. */
export interface ReloadReport {
  /** Pools that have other sizes now. */
  readonly resized: readonly { readonly pool: string; readonly min: number; readonly max: number }[]
  /** What changed and holds from the next start on. */
  readonly notices: readonly ConfigNotice[]
}

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
    const resizable = resizableOf(pool)
    const canResize = resizable !== undefined && pool.state !== 'closed' && pool.state !== 'closing'
    if (canResize && (changed.includes('max') || changed.includes('min'))) {
      resizable.resize(sizes)
      resized.push({ pool: name, ...sizes })
    }
    for (const option of changed) {
      if (canResize && (option === 'max' || option === 'min')) continue
      const [from, to] = [showValue(option, old.setting(option).value), showValue(option, config.setting(option).value)]
      restart(
        name,
        `\`${fileKeyOf(option)}\` changed${from === to ? '' : ` from ${from} to ${to}`}; it holds from the next start on`,
        option,
      )
    }
  }
  for (const name of before.keys())
    if (!after.has(name)) restart(name, 'is configured no more; it is left as it is until the next start')
  return { resized, notices }
}

/** Whatever resizes the pool: itself, or the engine behind a face. */
function resizableOf(pool: ManagedPool): Resizable | undefined {
  return [pool, pool.core].find(
    (one): one is ManagedPool & Resizable => typeof (one as Partial<Resizable> | undefined)?.resize === 'function',
  )
}
