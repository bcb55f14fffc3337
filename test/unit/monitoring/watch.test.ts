import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it } from 'vitest'
import { Pool, PoolGroup, PoolRegistry } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'
import { watchPools as begin, type LogEntry, type PoolWatch, type UtilizationAlert } from 'millpond/watch'
import { setUp } from '../../support/harness.ts'

const sum = (values: readonly number[] | undefined): number => (values ?? []).reduce((total, value) => total + value, 0)

const watches: PoolWatch[] = []
const watchPools: typeof begin = (...given) => {
  const watch = begin(...given)
  watches.push(watch)
  return watch
}
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close()
})

function watched(options: Parameters<typeof begin>[1] = {}, poolOptions: Parameters<typeof setUp>[0] = {}) {
  const harness = setUp({ name: 'shop', max: 2, ...poolOptions })
  const registry = new PoolRegistry()
  const watch = watchPools(registry, { clock: harness.clock, ...options })
  registry.register(harness.pool)
  return { ...harness, registry, watch }
}

describe('a watch', () => {
  it('keeps the events of pools registered before and after, newest first, as plain data', async () => {
    const clock = setUp().clock
    const registry = new PoolRegistry()
    const [a, b] = ['a', 'b'].map((name) => new Pool(new FakeFactory(), { name, clock }))
    if (a === undefined || b === undefined) throw new Error('two pools')
    registry.register(a)
    const watch = watchPools(registry, { clock })
    registry.register(b)
    for (const pool of [a, b]) (await pool.acquire({ label: 'job' })).destroy(new Error('password=secret'))
    await clock.settle()
    const events = watch.events()
    expect(events.map(({ pool, event }) => `${pool} ${event}`)).toEqual([
      'b destroyed',
      'b created',
      'a destroyed',
      'a created',
    ])
    expect(events[0]).toMatchObject({ errorCode: 'Error', numbers: { resourceId: 1, uses: 1 }, times: 1 })
    expect(JSON.stringify(events)).not.toContain('secret')
    expect(watch.events({ after: events[1]?.id ?? 0 })).toHaveLength(1)
    expect(watch.events({ limit: 2 })).toHaveLength(2)
    await Promise.all([a.close(), b.close()])
    expect(watch.pools()).toEqual([])
    watch.close()
  })

  it('counts what happens again within a second instead of keeping it a thousand times', async () => {
    const lines: LogEntry[] = []
    const { pool, clock, watch, take } = watched({ logger: (entry) => lines.push(entry) })
    const leases = await take(2)
    for (let index = 0; index < 1_000; index++) await pool.acquire({ timeoutMillis: 0 }).catch(() => undefined)
    await clock.advance(2_000)
    await pool.acquire({ timeoutMillis: 0 }).catch(() => undefined)
    const failed = watch.events().filter(({ event }) => event === 'acquireFailed')
    expect(failed.map(({ times }) => times)).toEqual([1, 1_000])
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(2)
    for (const lease of leases) lease.release()
  })

  it('forgets old events and rare operations beyond its bounds', async () => {
    const { pool, watch, clock } = watched({ keepEvents: 10, keepSlow: 3 }, { slowMillis: 1 })
    for (let index = 0; index < 50; index++) {
      pool.operations.run({ describe: () => `operation ${index}`, waitMillis: 5 }, () => undefined)
    }
    await clock.settle()
    expect(watch.events()).toHaveLength(10)
    expect(watch.slow().map(({ operation }) => operation)).toEqual(['operation 47', 'operation 48', 'operation 49'])
  })

  it('groups slow operations by fingerprint, with the trace they ran in', () => {
    let traceId = 'trace-1'
    const openTelemetry = { trace: { getActiveSpan: () => ({ spanContext: () => ({ traceId }) }) } }
    const { pool, watch } = watched({ openTelemetry }, { slowMillis: 10 })
    const run = (operation: string, waitMillis: number, label?: string): unknown =>
      pool.operations.run({ describe: () => operation, waitMillis, label }, () => undefined)
    run('SELECT ?', 20)
    run('SELECT ?', 30, 'report')
    traceId = 'trace-2'
    expect(() =>
      pool.operations.run({ describe: () => 'DELETE', waitMillis: 99 }, () => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(watch.slow()).toMatchObject([
      { operation: 'DELETE', count: 1, failed: 1, lastTraceId: 'trace-2' },
      { operation: 'SELECT ?', count: 2, failed: 0, waitMillis: 50, maxMillis: 30, lastLabel: 'report', lastTraceId: 'trace-1' },
    ]) // prettier-ignore
    expect(watch.slow('another')).toEqual([])
    expect(watch.events()[0]).toMatchObject({ event: 'slow', traceId: 'trace-2', numbers: { waitMillis: 99 } })
  })

  it('tells the trace of whoever waited long, or in vain, or held a lease for long', async () => {
    const spans = new AsyncLocalStorage<string>()
    const openTelemetry = {
      trace: {
        getActiveSpan: () => {
          const traceId = spans.getStore()
          return traceId === undefined ? undefined : { spanContext: () => ({ traceId }) }
        },
      },
    }
    const { pool, watch, clock } = watched({ openTelemetry }, { max: 1, slowMillis: 100 })
    const work = async (millis: number, timeoutMillis = 5_000): Promise<void> => {
      const lease = await pool.acquire({ timeoutMillis })
      await new Promise((resolve) => clock.setTimer(() => resolve(undefined), millis))
      lease.release()
    }
    const all = [
      spans.run('holder', () => work(200)),
      spans.run('waiter', () => work(1)),
      spans.run('impatient', () => work(1, 50).catch(() => undefined)),
    ]
    for (let turn = 0; turn < 10; turn++) await clock.advance(50)
    await Promise.all(all)
    expect(watch.events().map(({ event, traceId }) => [event, traceId])).toEqual([
      ['longWait', 'waiter'],
      ['longLease', 'holder'],
      ['acquireFailed', 'impatient'],
      ['created', undefined],
    ])
    watch.close()
    // What is not watched any more is not read either.
    const held = await pool.acquire()
    let caller: unknown = 'not told'
    pool.on('longWait', (event) => (caller = event.caller))
    const late = spans.run('late', () => work(1))
    await clock.advance(200)
    held.release()
    for (let turn = 0; turn < 3; turn++) await clock.advance(50)
    await late
    expect(caller).toBeUndefined()
  })

  it('keeps what happens in the pools of a group under the name of the group, and tells them apart', async () => {
    const { clock } = setUp()
    const registry = new PoolRegistry()
    const watch = watchPools(registry, { clock })
    const lines: string[] = []
    watchPools(registry, { clock, logger: ({ message }) => lines.push(message) })
    const group = new PoolGroup({ name: 'tenants', clock }, (name: string) => new Pool(new FakeFactory(), { name, clock, slowMillis: 1 })) // prettier-ignore
    registry.register(group)
    for (const tenant of ['a', 'b'])
      group.get(tenant).operations.run({ describe: () => 'SELECT ?', waitMillis: 5 }, () => undefined)
    expect(watch.slow('tenants').map(({ part, count }) => [part, count])).toEqual([
      ['a', 1],
      ['b', 1],
    ])
    expect(watch.events().map(({ pool, part }) => [pool, part])).toEqual([
      ['tenants', 'b'],
      ['tenants', 'a'],
    ])
    expect(lines[0]).toMatch(/^pool "a": slow: SELECT \?/)
    await group.close()
  })

  it('survives a trace API that throws, as do those who wait', async () => {
    const openTelemetry = {
      trace: {
        getActiveSpan: () => {
          throw new Error('not registered')
        },
      },
    }
    const { pool, watch, clock } = watched({ openTelemetry }, { slowMillis: 1 })
    pool.operations.run({ describe: () => 'x', waitMillis: 5 }, () => undefined)
    expect(watch.slow()).toMatchObject([{ operation: 'x', lastTraceId: undefined }])
    const waiting = pool.acquire()
    await clock.settle()
    ;(await waiting).release()
  })

  it('keeps a history of what happened between two looks, for as long as it was told', async () => {
    const { pool, clock, watch, take } = watched({ history: { everyMillis: 1_000, keepMillis: 5_000 } })
    const startedAt = clock.wallNow()
    const leases = await take(2)
    await clock.advance(1_000)
    for (const lease of leases) lease.release()
    await clock.advance(1_000)
    const quick = await pool.acquire()
    await clock.advance(20)
    quick.release()
    await clock.advance(980)
    const history = watch.history('shop')
    expect(history?.at.map((at) => at - startedAt)).toEqual([1_000, 2_000, 3_000])
    expect(history?.used).toEqual([2, 0, 0])
    expect(history?.acquired).toEqual([2, 0, 1])
    // Of the last second alone: the long leases of the first do not linger in it.
    expect(history?.useP99[1]).toBeGreaterThan(900)
    expect(history?.useP99[2]).toBeLessThan(30)
    await clock.advance(10_000)
    expect(watch.history('shop')?.at).toHaveLength(5)
    expect(watch.history('shop', { after: startedAt + 12_000 })?.at).toHaveLength(1)
    expect(watch.history('nobody')).toBeUndefined()
    expect(sum(watch.history('shop')?.failed)).toBe(0)
  })

  it('tells that a pool is nearly full once it was for a while, and that it is over only well below', async () => {
    const alerts: UtilizationAlert[] = []
    const published: unknown[] = []
    const lines: LogEntry[] = []
    const note = (message: unknown): void => void published.push(message)
    subscribe('millpond:utilization', note)
    const { clock, watch, take } = watched(
      { utilization: { above: 0.8, below: 0.5, forMillis: 10_000 }, history: { everyMillis: 1_000 }, logger: (l) => lines.push(l) },
      { max: 10 },
    ) // prettier-ignore
    watch.on('utilization', (alert) => alerts.push(alert))
    const leases = await take(9)
    await clock.advance(5_000)
    // A dip that is no rest changes nothing.
    leases.pop()?.release()
    leases.pop()?.release()
    await clock.advance(5_000)
    expect(alerts).toEqual([])
    await clock.advance(1_000)
    expect(alerts).toMatchObject([{ pool: 'shop', firing: true, utilization: 0.7 }])
    expect(watch.alerts()).toHaveLength(1)
    await clock.advance(60_000)
    expect(alerts).toHaveLength(1)
    for (const lease of leases.splice(0)) lease.release()
    await clock.advance(1_000)
    expect(alerts[1]).toMatchObject({ firing: false, utilization: 0 })
    expect(watch.alerts()).toEqual([])
    unsubscribe('millpond:utilization', note)
    expect(published).toEqual(alerts)
    expect(lines.filter(({ message }) => message.includes('nearly full'))).toHaveLength(2)
  })

  it('writes a line of statistics for every pool, of the time since the last one', async () => {
    const lines: LogEntry[] = []
    const { pool, clock } = watched({ logger: (line) => lines.push(line), log: { everyMillis: 60_000 } })
    for (let index = 0; index < 3; index++) (await pool.acquire()).release()
    await clock.advance(60_000)
    await clock.advance(60_000)
    expect(lines.map(({ message }) => message)).toEqual([
      'pool "shop" (fake): 0 of 2 used, 1 idle, 0 waiting · 3 acquired · wait p50 0 ms p99 0 ms · use p50 0 ms p99 0 ms · 1 opened, 0 closed',
      'pool "shop" (fake): 0 of 2 used, 1 idle, 0 waiting · 0 acquired · wait p50 0 ms p99 0 ms · use p50 0 ms p99 0 ms · 0 opened, 0 closed',
    ])
    expect(lines[0]?.fields).toMatchObject({ pool: 'shop', acquired: 3, idle: 1 })
  })

  it('writes what matters, at its level, in the words of pino, winston and the console', async () => {
    const written: unknown[] = []
    const level = (name: string) => (...args: unknown[]) => void written.push([name, ...args]) // prettier-ignore
    const shape = { info: level('info'), warn: level('warn'), error: level('error') }
    for (const logger of [{ ...shape, bindings: () => ({}) }, { ...shape, transports: [] }, shape]) {
      const { pool, factory, clock, watch, ask } = watched({ logger })
      factory.onCreate = () => {
        throw new FakeError('dns', 'getaddrinfo ENOTFOUND db.internal.example')
      }
      ask({ timeoutMillis: 50 })
      await clock.advance(100)
      watch.close()
      expect(pool.stats().timedOut).toBe(1)
    }
    const text = 'pool "shop": the server cannot be reached: dns (FakeError)'
    const fields = expect.objectContaining({ pool: 'shop', event: 'paused', errorCode: 'FakeError' }) as unknown
    expect(written.filter((line) => (line as unknown[])[0] === 'error')).toEqual([
      ['error', fields, text],
      ['error', text, fields],
      ['error', text],
    ])
    expect(JSON.stringify(written)).not.toContain('db.internal')
  })

  it('is not broken by a logger or a listener that throws', async () => {
    const { pool, watch, clock } = watched({
      logger: () => {
        throw new Error('disk full')
      },
    })
    let heard = 0
    watch.on('event', () => {
      throw new Error('of a listener')
    })
    watch.on('event', () => heard++)
    pool.resize({ max: 3 })
    await clock.settle()
    expect(heard).toBe(1)
    expect(pool.stats().max).toBe(3)
  })

  it('stops when it is closed: no timer, no listener is left', async () => {
    const { pool, watch, clock } = watched()
    expect(pool.operations.watched).toBe(true)
    watch.close()
    expect(pool.operations.watched).toBe(false)
    pool.resize({ max: 5 })
    await clock.advance(60_000)
    expect(watch.events()).toEqual([])
    expect(watch.history('shop')?.at).toEqual([])
  })

  it('watches a group as one pool, whose pools come and go', async () => {
    const { clock } = setUp()
    const registry = new PoolRegistry()
    const group = registry.register(
      new PoolGroup({ name: 'tenants', maxPools: 1, clock }, (key: string) => new Pool(new FakeFactory(), { name: `tenant ${key}`, clock })),
    ) // prettier-ignore
    const watch = watchPools(registry, { clock })
    for (const key of ['a', 'b', 'c']) (await group.get(key).acquire({ label: key })).release()
    await clock.advance(5_000)
    expect(registry.get('tenants')).toBe(group)
    expect(watch.pools()).toEqual(['tenants'])
    expect(watch.history('tenants')?.acquired).toEqual([3])
    expect(group.distributions().use.count).toBe(3)
    expect(Array.from(group.parts(), ([key]) => key)).toEqual(['c'])
    const lease = await group.get('c').acquire({ label: 'last' })
    expect(group.leases()).toMatchObject([{ label: 'last' }])
    expect(group.waiters()).toEqual([])
    lease.release()
    await group.close()
    expect(watch.pools()).toEqual([])
    expect(registry.get('tenants')).toBeUndefined()
  })

  it.each([
    [{ log: { everyMillis: 1_000 } }, 'Expected a `logger`'],
    [{ utilization: { above: 0.5, below: 0.6 } }, '`below` ≤ `above`'],
    [{ history: { everyMillis: 0 } }, 'history.everyMillis'],
    [{ keepEvents: 0 }, 'keepEvents'],
  ])('refuses %j', (options, message) => {
    expect(() => watchPools(new PoolRegistry(), options)).toThrow(message)
  })
})
