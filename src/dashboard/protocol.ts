import type { HealthCheck } from '../core/managed-pool.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../core/report.ts'
import type { PoolStats } from '../core/stats.ts'
import type { SlowGroup } from '../monitoring/watch/slow-log.ts'
import type { HistoryColumns, Sample } from './history.ts'

/** What the page and the process tell each other. All of it is JSON; times are milliseconds since 1970. */
export const PROTOCOL = 1

/** One process with its pools. */
export interface InstanceView {
  /** Its name: the option `instance`, by default `pid@host`. */
  readonly name: string
  /** `live`, or for how long it has not answered. */
  readonly reachable: boolean
  /** Why it does not answer, in one line without an address. */
  readonly problem?: string
}

/** Percentiles of what ended within the last samples, in milliseconds; null when nothing did. */
export interface RecentTimes {
  readonly count: number
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

/** One pool as its card shows it. */
export interface PoolView {
  /** Unique among all instances. */
  readonly key: string
  readonly instance: string
  readonly required: boolean
  readonly stats: PoolStats
  readonly health: HealthCheck | undefined
  readonly recent: { readonly wait: RecentTimes; readonly use: RecentTimes; readonly create: RecentTimes }
  /** When a leak was last reported. */
  readonly leakedAt: number | undefined
  readonly sample: Sample
}

/** The first message on the stream. */
export interface Hello {
  readonly protocol: typeof PROTOCOL
  readonly at: number
  readonly title: string
  /** Time between two ticks. */
  readonly intervalMillis: number
  /** Whether the page may change anything. */
  readonly actions: boolean
  readonly instances: readonly InstanceView[]
  readonly pools: readonly (PoolView & { readonly history: HistoryColumns })[]
}

/** Every further message on the stream. A pool that is not in it is gone. */
export interface Tick {
  readonly at: number
  readonly instances: readonly InstanceView[]
  readonly pools: readonly PoolView[]
}

export interface EventView {
  readonly at: number
  readonly name: string
  /** What happened, in one line: no statement's values, no address, no secret. */
  readonly text: string
  /** How often it was said in a row. */
  readonly times: number
}

export interface SettingView {
  readonly name: string
  readonly value: string
  /** Where the value comes from, where it is known. */
  readonly source: string | undefined
}

/** A node, origin, channel or shard of a pool. */
export interface PartView {
  readonly name: string
  readonly stats: PoolStats
}

export interface AdviceView {
  readonly verdict: string
  readonly reason: string
}

/** All of one pool, asked for while somebody looks at it. */
export interface PoolDetail {
  readonly key: string
  readonly at: number
  readonly leases: readonly LeaseInfo[]
  /** Leases and waiters beyond those listed. */
  readonly more: { readonly leases: number; readonly waiters: number }
  readonly waiters: readonly WaiterInfo[]
  readonly resources: readonly ResourceInfo[]
  /** Newest first. */
  readonly events: readonly EventView[]
  readonly slow: readonly SlowGroup[]
  readonly settings: readonly SettingView[]
  readonly parts: readonly PartView[]
  readonly advice: readonly AdviceView[]
  readonly actions: readonly ActionName[]
  /** What `resize` changes: the sizes of each part, where those of the whole are their sum. */
  readonly sizes: Sizes
}

/** JSON has no Infinity: an unlimited `max` is null. */
export interface Sizes {
  readonly min: number
  readonly max: number | null
}

export type ActionName = 'resize' | 'suspend' | 'resume' | 'invalidate' | 'kill'

export interface ActionRequest {
  readonly key: string
  readonly action: ActionName
  /** `resize` */
  readonly min?: number
  readonly max?: number
  /** `kill`: whose lease, and of which part where the pool consists of several. */
  readonly resourceId?: number
  readonly part?: string
}

export interface ActionAnswer {
  readonly ok: boolean
  readonly message: string
}
