import { inspect } from 'node:util'
import type { HealthCheck, ManagedPool } from '../core/managed-pool.ts'
import type { HistogramSnapshot } from '../core/histogram.ts'
import type { PoolStats } from '../core/stats.ts'
import { check, type TestApi } from './test-api.ts'

export interface ViewContractOptions<P extends ManagedPool = ManagedPool> {
  /** Makes a pool that can be exhausted, on a real server. Each test makes its own and closes it. */
  readonly make: () => Promise<P> | P
  /** Has the pool open something, work with it, and give it back; rejects with the pool's or the driver's error. */
  readonly touch: (pool: P) => Promise<void>
  /** Takes all that the pool has and keeps it, until the function that this gives back is called. */
  readonly exhaust: (pool: P) => Promise<() => unknown>
  /** Makes such a pool whose server cannot be reached, or refuses it. */
  readonly makeBroken: () => Promise<P> | P
  /** Texts that must never be shown: the password, a token. They must be part of what `make` and `makeBroken` are given. */
  readonly secrets: readonly string[]
}

/** Longer than any answer takes on a busy machine, shorter than a test may take. */
const PATIENCE_MILLIS = 5_000

/** Every field of the statistics, so that a view which forgets one does not pass. */
const HISTOGRAMS = ['wait', 'use', 'create'] as const
const COUNTS = Object.keys({
  total: true, idle: true, used: true, maintaining: true, closing: true, creating: true, zombies: true, waiting: true,
  oldestWaiterMillis: true, min: true, max: true, utilization: true, leases: true, requested: true, acquired: true,
  acquiredAfterWait: true, timedOut: true, aborted: true, refused: true, failed: true, created: true,
  createErrors: true, leaks: true, deadlocks: true, generation: true,
} satisfies Record<NumberField, true>) as readonly NumberField[] // prettier-ignore

type NumberField = Exclude<keyof PoolStats, 'destroyed' | (typeof HISTOGRAMS)[number] | 'name' | 'kind' | 'state'>

/** What holds for the statistics of every pool, at every instant. */
function checkStats(pool: ManagedPool, stats: PoolStats): void {
  const shown = inspect(stats)
  check(stats.name === pool.name && stats.kind === pool.kind, `name and kind must be those of the pool: ${shown}`)
  check(stats.state === pool.state, `the state must be that of the pool, ${pool.state}: ${shown}`)
  for (const field of COUNTS) {
    const value: unknown = stats[field]
    check(typeof value === 'number' && value >= 0, `\`${field}\` must be a number that is not negative: ${shown}`)
    check(value !== Infinity || field === 'max', `\`${field}\` must be finite: ${shown}`)
  }
  const { total, idle, used, maintaining, closing } = stats
  check(total === idle + used + maintaining + closing, `total = idle + used + maintaining + closing: ${shown}`)
  const { requested, acquired, timedOut, aborted, refused, failed, waiting } = stats
  check(
    requested === acquired + timedOut + aborted + refused + failed + waiting,
    `requested = acquired + timedOut + aborted + refused + failed + waiting: ${shown}`,
  )
  const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
  check(stats.created === total + destroyed, `created = total + destroyed: ${shown}`)
  check(stats.acquiredAfterWait <= acquired, `no more can be acquired after a wait than at all: ${shown}`)
  check(used > 0 === stats.leases > 0 && stats.leases >= used, `what is used has a lease: ${shown}`)
  for (const name of HISTOGRAMS) checkHistogram(name, stats[name])
  check(isPlain(stats), `statistics must be plain data: ${shown}`)
}

function checkHistogram(name: string, { count, mean, p50, p95, p99, max }: HistogramSnapshot): void {
  const shown = inspect({ count, mean, p50, p95, p99, max })
  check([count, mean, p50, p95, p99, max].every(Number.isFinite), `\`${name}\` must be finite: ${shown}`)
  check(0 <= p50 && p50 <= p95 && p95 <= p99 && p99 <= max, `the percentiles of \`${name}\` must rise: ${shown}`)
  check(count > 0 || max === 0, `\`${name}\` must be 0 where nothing was counted: ${shown}`)
}

/** Only texts, numbers, truth values and plain objects or lists of them: what survives JSON and a message to a worker. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return true
  if (typeof value !== 'object' || value === null) return value === undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false
  return Object.values(value).every(isPlain)
}

function checkAnswer(pool: ManagedPool, answer: HealthCheck): void {
  const { status, message, durationMillis } = answer
  check(['pass', 'warn', 'fail'].includes(status), `the status of a health check cannot be ${status}`)
  check(answer.pool === pool.name && answer.kind === pool.kind, 'a health check must name its pool and kind')
  check(typeof message === 'string' && message !== '', 'a health check must say something')
  check(Number.isFinite(durationMillis) && durationMillis >= 0, 'a health check must say how long it took')
}

async function inTime<R>(promise: Promise<R>, message: string): Promise<R> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`contract: ${message}`)), PATIENCE_MILLIS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** All that somebody sees who prints it, logs it as JSON, or looks at its hidden properties. */
function everythingOf(value: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch {
    // circular: nobody logs it as JSON
  }
  const text = value instanceof Error ? `${value.message}\n${value.stack ?? ''}` : ''
  return [inspect(value), inspect(value, { depth: 10, showHidden: true, getters: true }), json, text].join('\n')
}

/**
 * What every adapter and every view must show, whether Millpond's engine is behind it or a driver's own pool:
 * statistics that add up at every instant, a health check that never throws and never queues, an orderly close, and no
 * secret anywhere. Run it in a test file of the adapter, against a real server.
 */
export function viewContract<P extends ManagedPool>(
  name: string,
  { describe, it }: TestApi,
  { make, touch, exhaust, makeBroken, secrets }: ViewContractOptions<P>,
): void {
  const withPool =
    (body: (pool: P) => Promise<void>, made: () => Promise<P> | P = make) =>
    async (): Promise<void> => {
      const pool = await made()
      try {
        await body(pool)
      } finally {
        await pool.close({ timeoutMillis: 1_000, waiters: 'reject' })
      }
    }
  /** While somebody holds all that the pool has. */
  const whileExhausted = async (pool: P, body: () => Promise<void> | void): Promise<void> => {
    const giveBack = await exhaust(pool)
    try {
      await body()
    } finally {
      await giveBack()
    }
  }

  describe(`${name} keeps the view contract`, () => {
    it(
      'shows statistics that are plain data and add up',
      withPool(async (pool) => {
        checkStats(pool, pool.stats())
        await touch(pool)
        const before = pool.stats()
        checkStats(pool, before)
        check(before.acquired >= 1 && before.created >= 1, `what was used must be counted: ${inspect(before)}`)
        check(before.use.count >= 1, `how long it was used must be counted: ${inspect(before)}`)
        check(before.used === 0, `what was given back is not used: ${inspect(before)}`)
        const copy = structuredClone(before)
        await whileExhausted(pool, () => {
          const during = pool.stats()
          checkStats(pool, during)
          check(during.used >= 1, `what is held is used: ${inspect(during)}`)
          check(inspect(before) === inspect(copy), 'statistics are a snapshot: they must not change afterwards')
        })
        await touch(pool)
        const after = pool.stats()
        checkStats(pool, after)
        check(after.used === 0 && after.waiting === 0, `what was given back is not used: ${inspect(after)}`)
        for (const field of ['requested', 'acquired', 'created'] as const)
          check(after[field] >= before[field], `\`${field}\` counts up only: ${inspect(after)}`)
      }),
    )

    it(
      'tells that it is healthy, and that it is not once it is closed',
      withPool(async (pool) => {
        await touch(pool)
        const healthy = await pool.health()
        checkAnswer(pool, healthy)
        check(healthy.status === 'pass', `a working pool must pass: ${healthy.message}`)
        checkStats(pool, pool.stats())
        await pool.close()
        const closed = await pool.health()
        checkAnswer(pool, closed)
        check(closed.status === 'fail', 'a closed pool must fail')
      }),
    )

    it(
      'answers for its health while all is in use: it neither waits in the queue nor fails',
      withPool(async (pool) => {
        await touch(pool)
        await whileExhausted(pool, async () => {
          const answer = await inTime(pool.health(), 'a health check must not queue behind an exhausted pool')
          checkAnswer(pool, answer)
          check(answer.status !== 'fail', `a pool that is in use works: ${answer.message}`)
          checkStats(pool, pool.stats())
          check(pool.stats().waiting === 0, 'a health check must leave nobody in the queue')
        })
      }),
    )

    it(
      'answers for its health where there is no server',
      withPool(async (pool) => {
        const answer = await inTime(pool.health({ timeoutMillis: 500 }), 'a health check must keep its time')
        checkAnswer(pool, answer)
        check(answer.status === 'fail', 'a pool without a server must fail')
        checkStats(pool, pool.stats())
      }, makeBroken),
    )

    it(
      'closes once, whoever asks',
      withPool(async (pool) => {
        await touch(pool)
        let told = 0
        // Behind a face the engine's events are the core's; a registry listens there.
        const source: { on(event: 'closed', listener: () => void): unknown } = pool.core ?? pool
        source.on('closed', () => told++)
        const first = pool.close()
        check(pool.close() === first, 'a second close must give the same promise')
        const report = await first
        check(pool.close() === first, 'a late close must give the same promise')
        check(report.pool === pool.name, 'the report must name the pool')
        check(pool.state === 'closed', `the state must be 'closed', it is '${pool.state}'`)
        check(told === 1, `'closed' must be told once, it was told ${told} times`)
        const stats = pool.stats()
        checkStats(pool, stats)
        check(stats.total + stats.creating + stats.waiting === 0, `nothing may be left: ${inspect(stats)}`)
      }),
    )

    it(
      'shows no secret',
      withPool(async (pool) => {
        const shown: unknown[] = [pool]
        await touch(pool)
        shown.push(pool, pool.stats(), await pool.health())
        shown.push(await pool.close(), pool, pool.stats(), await pool.health())
        shown.push(await touch(pool).catch((error: unknown) => error))
        checkSecrets(shown, secrets)
      }),
    )

    it(
      'shows no secret where there is no server',
      withPool(async (pool) => {
        const failure = await touch(pool).then(
          () => undefined,
          (error: unknown) => error,
        )
        check(failure !== undefined, 'work without a server must fail')
        checkSecrets([failure, pool, pool.stats(), await pool.health({ timeoutMillis: 500 })], secrets)
      }, makeBroken),
    )
  })
}

function checkSecrets(shown: readonly unknown[], secrets: readonly string[]): void {
  const text = shown.map(everythingOf).join('\n')
  for (const secret of secrets) {
    const at = text.indexOf(secret)
    const around =
      text
        .slice(Math.max(0, at - 120), at)
        .split('\n')
        .at(-1) ?? ''
    check(at < 0, `a secret is shown, behind "…${around}"`)
  }
}
