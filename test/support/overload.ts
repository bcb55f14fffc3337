import { Pool, type PoolOptions } from 'millpond'
import { FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { after, seeded } from './simulation.ts'

/** Callers that come by chance, with a deadline for the whole of their work, and usually a signal that ends it. */
export interface Overload {
  readonly options: PoolOptions<FakeResource>
  /** How long one piece of work takes. */
  readonly serviceMillis: number
  readonly max: number
  /** Offered work as a share of capacity, over time. */
  readonly load: (millis: number) => number
  readonly millis: number
  readonly deadlineMillis: number
  /** How much of it `acquire` may take. */
  readonly acquireMillis: number
  /** Whether callers give up by a signal at their deadline, or only throw away what comes later. @defaultValue true */
  readonly signals?: boolean
  readonly seed: number
}

export interface OverloadResult {
  readonly offered: number
  /** Moments at which an answer came within its deadline. */
  readonly goodAt: readonly number[]
  /** How long those waited who were refused before their deadline. */
  readonly refusedAfter: readonly number[]
  readonly late: number
  readonly gaveUp: number
}

/** Runs it on a simulated clock: a minute takes a second or two. */
export async function overload({
  options,
  serviceMillis,
  max,
  load,
  millis,
  deadlineMillis,
  acquireMillis,
  signals = true,
  seed,
}: Overload): Promise<OverloadResult> {
  const clock = new ManualClock()
  const random = seeded(seed)
  const factory = new FakeFactory()
  factory.onCreate = () => after(clock, 20)
  const pool = new Pool<FakeResource>(factory, {
    max,
    clock,
    random,
    acquireTimeoutMillis: acquireMillis,
    reclaimAbandoned: false,
    ...options,
  })
  // In good order before the load comes.
  await Promise.all([
    Promise.all(Array.from({ length: max * 10 }, () => pool.use(() => after(clock, serviceMillis)))),
    clock.advance(5_000),
  ])

  const startedAt = clock.now()
  const goodAt: number[] = []
  const refusedAfter: number[] = []
  let [offered, late, gaveUp] = [0, 0, 0]
  const call = async (): Promise<void> => {
    const askedAt = clock.now()
    const controller = new AbortController()
    if (signals) clock.setTimer(() => controller.abort(new Error('gave up')), deadlineMillis)
    try {
      const lease = await pool.acquire({ signal: controller.signal, timeoutMillis: acquireMillis })
      await after(clock, serviceMillis)
      lease.release()
      if (clock.now() - askedAt <= deadlineMillis) goodAt.push(clock.now() - startedAt)
      else late++
    } catch {
      const waitedMillis = clock.now() - askedAt
      if (waitedMillis < acquireMillis) refusedAfter.push(waitedMillis)
      else gaveUp++
    }
  }
  const capacity = (max * 1_000) / serviceMillis
  for (let at = 0; at < millis;) {
    const rate = load(at) * capacity
    const gap = (-Math.log(1 - random()) * 1_000) / rate
    await clock.advance(gap)
    at = clock.now() - startedAt
    offered++
    void call()
  }
  await clock.advance(deadlineMillis + serviceMillis)
  const closed = pool.close({ timeoutMillis: 10 })
  await clock.advance(1_000)
  await closed
  return { offered, goodAt, refusedAfter, late, gaveUp }
}
