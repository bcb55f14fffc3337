import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { cut } from '../../src/adapters/mysql/driver.ts'
import type { PooledConnection } from '../../src/adapters/mysql/pooled-connection.ts'
import { sleep, startFaultProxy, waitFor, type FaultProxy } from '@millpond/rig'
import { destroyedIn } from '../support/identities.ts'
import { describeOwnMysql, idOf, poolOn, rowOf, startOwnServer, type TestPool } from '../support/mysql.ts'
import { watchUncaught } from '../support/uncaught.ts'

describeOwnMysql('a MySQL pool whose server or network fails', () => {
  let rig: Awaited<ReturnType<typeof startOwnServer>>
  let proxy: FaultProxy
  let pool: TestPool
  let uncaught: ReturnType<typeof watchUncaught>

  beforeAll(async () => {
    rig = await startOwnServer({ settings: { 'max-connections': 15 } })
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
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds no connection any more' })
  })

  const throughProxy = (): { config: object } => ({ config: { ...rig.server.config, port: proxy.port } })
  /** As many queries at once; over when every connection that was opened for them is there. */
  const burst = async (count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => pool.query('SELECT SLEEP(0.02)')))
    await waitFor(() => pool.stats().creating === 0, { what: 'nothing is being opened' })
  }

  it('survives a server that is killed: waiting callers are served when it is back', async () => {
    pool = poolOn(rig.server, { connectionLimit: 5, failFastWhenDown: false, acquireTimeout: 30_000 })
    await burst(5)
    await rig.server.kill()
    const asked = Promise.all(Array.from({ length: 20 }, () => rowOf(pool, 'SELECT 1 AS one')))
    await waitFor(() => pool.state === 'paused', { what: 'the pool has noticed' })
    expect(pool.stats().creating).toBeLessThanOrEqual(1)
    await rig.server.start()
    expect(await asked).toEqual(Array(20).fill({ one: 1 }))
    expect(pool.state).toBe('open')
  })

  it('costs nobody an error when the server is restarted while connections are idle', async () => {
    pool = poolOn(rig.server, { connectionLimit: 4 })
    await burst(4)
    await rig.server.restart()
    // One that is being checked is not idle, and not gone either.
    await waitFor(() => destroyedIn(pool.stats()) === 4 && pool.state === 'open', { what: 'the old ones are gone' })
    const answers = await Promise.all([1, 2, 3, 4].map(() => rowOf(pool, 'SELECT 1 AS one')))
    expect(answers).toEqual(Array(4).fill({ one: 1 }))
  })

  it('makes few attempts while nobody listens, however many ask', async () => {
    pool = poolOn(throughProxy(), { connectionLimit: 10, failFastWhenDown: false, acquireTimeout: 1_000 })
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

  it('costs nobody an error when idle connections are cut', async () => {
    pool = poolOn(throughProxy(), { connectionLimit: 4 })
    await burst(4)
    proxy.cutAll('reset')
    await waitFor(() => pool.stats().idle === 0, { what: 'the cut ones are gone' })
    await burst(8)
  })

  it('replaces connections in a black hole and frees every slot', async () => {
    pool = poolOn(throughProxy(), {
      connectionLimit: 3,
      acquireTimeout: 20_000,
      validateAfterIdleMillis: 50,
      validateTimeoutMillis: 200,
      createTimeoutMillis: 500,
      failFastWhenDown: false,
    })
    await burst(3)
    await sleep(100)
    await proxy.blackHole()
    const during = rowOf(pool, 'SELECT 1 AS one')
    await waitFor(() => pool.stats().destroyed.validate + pool.stats().createErrors > 1, { what: 'it has noticed' })
    await proxy.clear()
    expect(await during).toEqual({ one: 1 })
    await burst(10)
    await waitFor(() => pool.stats().zombies === 0, { what: 'no create hangs' })
  })

  it('makes do with what a full server grants', async () => {
    // One more than max_connections is kept for the rig.
    pool = poolOn(rig.server, { connectionLimit: 30, acquireTimeout: 30_000 })
    const answers = await Promise.all(Array.from({ length: 200 }, () => pool.query('SELECT SLEEP(0.005)')))
    expect(answers).toHaveLength(200)
    const { total, generation, failed, timedOut, createErrors } = pool.stats()
    expect(total).toBeLessThanOrEqual(15)
    expect(createErrors).toBeGreaterThan(0)
    expect({ generation, failed, timedOut }).toEqual({ generation: 0, failed: 0, timedOut: 0 })
  })

  it('never keeps a caller beyond its deadline while the server stands still, and fails a connect in the driver’s words', async () => {
    pool = poolOn(rig.server, { connectionLimit: 2, acquireTimeout: 300, connectTimeout: 300 })
    await burst(2)
    rig.server.pause()
    // A signal stops the threads of a server one after the other; some may answer yet.
    await sleep(100)
    try {
      const running = [pool.query('SELECT 1'), pool.query('SELECT 1')]
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
      await using other = poolOn(rig.server, { connectTimeout: 200 })
      await expect(other.query('SELECT 1')).rejects.toMatchObject({ code: 'ETIMEDOUT', message: 'connect ETIMEDOUT' })
      rig.server.resume()
      await Promise.all(running)
    } finally {
      rig.server.resume()
    }
  })

  it('tells whoever waits on a connection that is cut while it closes, with more to send than went out', async () => {
    pool = poolOn(rig.server, { connectionLimit: 1 })
    const raw = new Promise<PooledConnection>((resolve) => pool.on('connection', resolve as () => void))
    await pool.query('SELECT 1')
    const connection = await raw
    rig.server.pause()
    try {
      const told = new Promise((resolve) => connection.query('SELECT LENGTH(?)', [Buffer.alloc(20_000_000)], resolve))
      connection.close()
      cut(connection, 'The connection was ended')
      expect(await told).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' })
    } finally {
      rig.server.resume()
    }
  })

  it('gives up connects that get no answer when it closes', async () => {
    await proxy.set({ connect: 'silence' })
    pool = poolOn(throughProxy(), { connectionLimit: 2 })
    const waiting = pool.query('SELECT 1').catch((error: unknown) => error)
    await waitFor(() => proxy.accepted > 0, { what: 'it connects' })
    const report = await pool.close({ timeoutMillis: 100 })
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(report.pendingCreates).toBe(0)
    expect(pool.stats()).toMatchObject({ creating: 0, zombies: 0 })
  })

  it('replaces its connections when the server has become read-only, where it wants to write', async () => {
    pool = poolOn(rig.server, { connectionLimit: 3, writable: true, validateAfterIdleMillis: 60_000 })
    await pool.query('CREATE TABLE IF NOT EXISTS written (id int)')
    await burst(3)
    await rig.view.query('SET GLOBAL read_only = 1')
    try {
      await expect(pool.query('INSERT INTO written VALUES (1)')).rejects.toMatchObject({ errno: 1290 })
      await waitFor(() => pool.stats().generation === 1, { what: 'a second connection has confirmed it' })
      // A server that takes no writes is not good enough.
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ name: 'NotWritableError' })
    } finally {
      await rig.view.query('SET GLOBAL read_only = 0')
    }
    await waitFor(async () => (await pool.query('INSERT INTO written VALUES (2)').catch(() => false)) !== false, {
      what: 'it writes again',
    })
  })

  it('ends only the one connection that was refused a write, where it was not told to write', async () => {
    pool = poolOn(rig.server, { connectionLimit: 2 })
    await pool.query('CREATE TABLE IF NOT EXISTS written (id int)')
    await burst(2)
    const before = await idOf(pool)
    await rig.view.query('SET GLOBAL read_only = 1')
    await expect(pool.query('INSERT INTO written VALUES (1)')).rejects.toMatchObject({ errno: 1290 })
    await rig.view.query('SET GLOBAL read_only = 0')
    expect(await idOf(pool)).not.toBe(before)
    expect(pool.stats()).toMatchObject({ generation: 0, destroyed: { broken: 1 } })
  })

  it('reports a lease that is not given back, and takes it away', async () => {
    pool = poolOn(rig.server, { connectionLimit: 1, leakThresholdMillis: 40, maxUseMillis: 200 })
    const leaks: { stack?: string | undefined }[] = []
    pool.core.on('leak', (event) => leaks.push(event))
    pool.core.on('overused', () => undefined)
    const lost = await pool.getConnection()
    expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
    expect(leaks).toHaveLength(1)
    expect(leaks[0]?.stack).toContain('mysql-faults.test.ts')
    await expect(lost.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_POOL_LEASE_RELEASED' })
  })

  it('logs in over TLS, and says so when it cannot', async () => {
    const secure = await startOwnServer({ tls: true })
    pool = poolOn(secure.server, { ssl: { ca: secure.server.certificate() } })
    expect(await rowOf(pool, "SHOW STATUS LIKE 'Ssl_version'")).toMatchObject({
      Value: expect.stringMatching(/^TLS/) as string,
    })
    const running = pool.query({ sql: 'SELECT SLEEP(10)', timeout: 100 })
    await expect(running).rejects.toMatchObject({ code: 'PROTOCOL_SEQUENCE_TIMEOUT' })
    await pool.close()
    await using distrusting = poolOn(secure.server, { ssl: {} })
    await expect(distrusting.query('SELECT 1')).rejects.toMatchObject({ code: 'HANDSHAKE_SSL_ERROR' })
    await secure.stop()
  })
})
