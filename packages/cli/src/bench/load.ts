import { performance } from 'node:perf_hooks'
import { Pool, type Lease, type ResourceFactory } from 'millpond'
import type { Connection } from './connections.ts'

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** What a pool of one size got done. */
export interface Run {
  readonly size: number
  /** Answers in a second. */
  readonly throughput: number
  /** Until a caller had a connection, in milliseconds. */
  readonly waitMillis: Percentiles
  /** Until the server had answered, in milliseconds. */
  readonly useMillis: Percentiles
  /** Questions that failed. */
  readonly errors: number
  /** The share of the time in which this process itself was at work: near 1 it is what was measured, not the server. */
  readonly ownShare: number
}

export interface LoadOptions {
  readonly size: number
  /** How many ask at the same time, each again as soon as it has an answer. */
  readonly callers: number
  readonly millis: number
}

/**
 * Lets callers ask a server by way of a pool of so many connections, all of them opened before.
 *
 * @throws what the driver throws where the connections cannot be opened, or the first question fails
 */
export async function measure(
  factory: ResourceFactory<Connection>,
  { size, callers, millis }: LoadOptions,
): Promise<Run> {
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)
  const watched: ResourceFactory<Connection> = {
    ...factory,
    create: (context) =>
      factory.create(context).catch((error: unknown) => {
        fail(error)
        throw error
      }),
  }
  const forEver = { maxWaiting: Infinity, idleTimeoutMillis: Infinity, keepAliveMillis: Infinity }
  const pool = new Pool(watched, { name: 'bench', max: size, min: size, ...forEver })
  try {
    // The first that is refused ends it: a server that grants fewer will not grant more in a while.
    await Promise.race([pool.ready(), failed])
    await pool.use((connection) => connection.ask())
    const waits: number[] = []
    const uses: number[] = []
    let errors = 0
    const before = performance.eventLoopUtilization()
    const endsAt = performance.now() + millis
    const call = async (): Promise<void> => {
      for (let askedAt = performance.now(); askedAt < endsAt; askedAt = performance.now()) {
        let lease: Lease<Connection> | undefined
        try {
          lease = await pool.acquire()
          const gotAt = performance.now()
          await lease.resource.ask()
          const answeredAt = performance.now()
          // What was under way at the end would count for time that nobody measured.
          if (answeredAt < endsAt) {
            waits.push(gotAt - askedAt)
            uses.push(answeredAt - gotAt)
          }
          lease.release()
        } catch {
          errors++
          lease?.destroy()
        }
      }
    }
    await Promise.all(Array.from({ length: callers }, call))
    const { utilization } = performance.eventLoopUtilization(before)
    return {
      size,
      throughput: (uses.length * 1_000) / millis,
      waitMillis: percentilesOf(waits),
      useMillis: percentilesOf(uses),
      errors,
      ownShare: utilization,
    }
  } finally {
    await pool.close({ timeoutMillis: 2_000, waiters: 'reject' })
  }
}

function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}

/** As much as one can tell apart: what is within 3 % of the most is as good, and the smallest of those is the best. */
export const ENOUGH = 0.97

/** The smallest size that got nearly as much done as any. */
export function bestOf(runs: readonly Run[]): Run | undefined {
  const most = Math.max(...runs.map(({ throughput }) => throughput))
  return runs.toSorted((a, b) => a.size - b.size).find(({ throughput }) => throughput >= ENOUGH * most)
}
