import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { sleep, startFaultProxy, waitFor, type FaultProxy } from '@millpond/rig'
import { describePostgres, pidOf, poolOn, startServer, type TestPool } from '../support/pg.ts'
import { watchUncaught } from '../support/uncaught.ts'

describePostgres('a pool whose server or network fails', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let proxy: FaultProxy
  let pool: TestPool
  let uncaught: ReturnType<typeof watchUncaught>

  beforeAll(async () => {
    rig = await startServer({ settings: { max_connections: 20 } })
  })
  afterAll(async () => {
    await rig.stop()
  })
  beforeEach(async () => {
    proxy = await startFaultProxy(rig.server)
    uncaught = watchUncaught()
  })
  afterEach(async () => {
    await pool.close({ timeoutMillis: 200, waiters: 'reject' })
    await proxy.close()
    uncaught.stop()
    expect(uncaught.errors).toEqual([])
  })

  const throughProxy = (): { config: { port: number } } => ({ config: { ...rig.server.config, port: proxy.port } })

  it('survives a restart of the server: waiting callers are served when it is back', async () => {
    pool = poolOn(rig.server, { max: 5, failFastWhenDown: false, acquireTimeoutMillis: 20_000 })
    await Promise.all(Array.from({ length: 5 }, () => pool.query('SELECT pg_sleep(0.02)')))
    const before = await pidOf(pool)
    await rig.server.kill()
    const asked = Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT 1 AS one')))
    await sleep(300)
    expect(pool.state).toBe('paused')
    expect(pool.stats().creating).toBeLessThanOrEqual(1)
    await rig.server.start()
    expect((await asked).every(({ rows }) => (rows[0] as { one: number }).one === 1)).toBe(true)
    expect(pool.state).toBe('open')
    expect(await pidOf(pool)).not.toBe(before)
  })

  it('makes few attempts while nobody listens, however many ask', async () => {
    pool = poolOn(throughProxy(), { max: 10, failFastWhenDown: false, acquireTimeoutMillis: 1_500 })
    await proxy.set({ connect: 'refuse' })
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, () =>
        pool.query('SELECT 1').then(
          () => 'ok',
          (error: { code: string; cause?: { code?: string } }) => `${error.code} ${error.cause?.code ?? ''}`,
        ),
      ),
    )
    expect(new Set(outcomes)).toEqual(new Set(['ERR_POOL_ACQUIRE_TIMEOUT ECONNREFUSED']))
    // Eight at once, then about ten a second while they are refused at once.
    expect(pool.stats().createErrors).toBeLessThanOrEqual(45)
  })

  it('costs nobody an error when idle connections are cut, and no check where the socket has told', async () => {
    pool = poolOn(throughProxy(), { max: 4 })
    // All are open and idle: a connect under way would fail with the cut, which is another matter.
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
    for (const client of clients) client.release()
    proxy.cutAll('reset')
    await waitFor(() => pool.stats().idle === 0, { what: 'the cut ones are gone' })
    await Promise.all(Array.from({ length: 8 }, () => pool.query('SELECT 1')))
  })

  it('replaces connections in a black hole and frees every slot', async () => {
    pool = poolOn(throughProxy(), {
      max: 3,
      acquireTimeoutMillis: 4_000,
      validateAfterIdleMillis: 50,
      validateTimeoutMillis: 200,
      createTimeoutMillis: 500,
      failFastWhenDown: false,
    })
    await Promise.all(Array.from({ length: 3 }, () => pool.query('SELECT pg_sleep(0.02)')))
    await sleep(100)
    await proxy.blackHole()
    const during = pool.query('SELECT 1').then(
      () => 'ok',
      (error: { code: string }) => error.code,
    )
    await sleep(1_000)
    await proxy.clear()
    expect(await during).toBe('ok')
    await Promise.all(Array.from({ length: 10 }, () => pool.query('SELECT 1')))
    await waitFor(() => pool.stats().zombies === 0, { what: 'no create hangs' })
  })

  it('spares the others when one connection of several falls silent', async () => {
    pool = poolOn(throughProxy(), { max: 4, validateAfterIdleMillis: 30, validateTimeoutMillis: 1_500 })
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
    for (const client of clients) client.release()
    proxy.connections[0]?.blackHole()
    await sleep(60)
    const answers = await Promise.all(Array.from({ length: 4 }, () => pool.query('SELECT 1 AS one')))
    expect(answers).toHaveLength(4)
    await waitFor(() => pool.stats().maintaining === 0, { what: 'the silent one has been given up' })
    expect(pool.stats().generation).toBe(0)
  })

  it('makes do with what a full server grants', async () => {
    pool = poolOn(rig.server, { max: 30, acquireTimeoutMillis: 10_000 })
    const answers = await Promise.all(Array.from({ length: 200 }, () => pool.query('SELECT pg_sleep(0.005)')))
    expect(answers).toHaveLength(200)
    const { total, generation, failed, timedOut } = pool.stats()
    expect(total).toBeLessThanOrEqual(20)
    expect({ generation, failed, timedOut }).toEqual({ generation: 0, failed: 0, timedOut: 0 })
  })

  it('never keeps a caller beyond its deadline while the server stands still', async () => {
    pool = poolOn(rig.server, { max: 2, acquireTimeoutMillis: 300, createTimeoutMillis: 300 })
    const held = await Promise.all([pool.connect(), pool.connect()])
    for (const client of held) client.release()
    rig.server.pause()
    const running = [pool.query('SELECT 1'), pool.query('SELECT 1')]
    const startedAt = performance.now()
    const error: unknown = await pool.query('SELECT 1').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    rig.server.resume()
    await Promise.all(running)
  })

  it('gives up connects that get no answer when it closes, in whichever phase they are', async () => {
    await proxy.set({ connect: 'silence' })
    pool = poolOn(throughProxy(), { max: 2 })
    const waiting = pool.query('SELECT 1').catch((error: unknown) => error)
    await waitFor(() => proxy.accepted > 0, { what: 'it connects' })
    const report = await pool.close({ timeoutMillis: 100 })
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(report.pendingCreates).toBe(0)
    expect(pool.stats()).toMatchObject({ creating: 0, zombies: 0 })
  })

  it('leaves nothing of a connect whose onConnect never answers, and tells nobody of one that answers too late', async () => {
    let answer = (): void => undefined
    let hangs = true
    pool = poolOn(rig.server, {
      max: 1,
      createTimeoutMillis: 1_000,
      failFastWhenDown: false,
      onConnect: () => (hangs ? new Promise<void>((resolve) => (answer = resolve)) : undefined),
    })
    let connected = 0
    pool.on('connect', () => connected++)
    const waiting = pool.query('SELECT 1')
    await waitFor(() => pool.stats().createErrors > 0, { what: 'the connect is given up' })
    await waitFor(() => pool.stats().zombies === 0, { what: 'nothing is left of it' })
    hangs = false
    answer()
    await waiting
    await waitFor(async () => (await rig.view.count()) === 1, { what: 'the server holds the second one only' })
    expect(connected).toBe(1)
  })

  it('moves to the other server when the first is not writable', async () => {
    const standby = await startServer({ settings: { default_transaction_read_only: 'on' } })
    const hosts = [standby, rig].map(({ server }) => `${server.host}:${server.port}`)
    pool = poolOn(rig.server, { hosts, targetSessionAttrs: 'read-write' })
    const { rows } = await pool.query("SELECT current_setting('port')::int AS port")
    expect(rows).toEqual([{ port: rig.server.port }])
    await standby.stop()
  })
})
