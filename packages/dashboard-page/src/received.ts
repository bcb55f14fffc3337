import type { PoolView } from '../../../src/dashboard/protocol.ts'

/** JSON has no Infinity: an unlimited pool comes with null. */
export function unlimited<S extends { readonly max: number }>(stats: S): S {
  return (stats.max as number | null) === null ? { ...stats, max: Infinity } : stats
}

/** A view of a pool as it was before it was sent. */
export const received = <V extends PoolView>(view: V): V => ({ ...view, stats: unlimited(view.stats) })
