import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { startServer } from '../support/pg.ts'
import { Callers, ChaosRig, countEvents, figures, pick } from '../support/chaos.ts'

const WRITE = 'INSERT INTO writes DEFAULT VALUES RETURNING pg_backend_pid() AS pid'

/** Runs statements as the superuser, past pool and proxy. */
async function administer(config: pg.ClientConfig, ...statements: string[]): Promise<pg.QueryResult[]> {
  const client = new pg.Client(config)
  await client.connect()
  const results: pg.QueryResult[] = []
  for (const statement of statements) results.push(await client.query(statement))
  await client.end()
  return results
}

describe('a planned change of the server', { timeout: 120_000 }, () => {
  let rig: ChaosRig
  let next: Awaited<ReturnType<typeof startServer>>

  beforeAll(async () => {
    rig = await ChaosRig.start({ auth: 'scram-sha-256' })
    next = await startServer({ auth: 'scram-sha-256' })
    for (const server of [rig.server, next.server])
      await administer(server.config, 'CREATE TABLE writes (id serial PRIMARY KEY)')
  })
  afterEach(async () => {
    await rig.reset()
  })
  afterAll(async () => {
    await rig.stop()
    await next.stop()
  })

  it('C6: after a failover every write goes to the new primary as soon as one connection has confirmed it', async () => {
    const pool = await rig.filled({ targetSessionAttrs: 'read-write' })
    const callers = new Callers(pool)
    let invalidatedAt = Infinity
    pool.core.on('invalidated', () => (invalidatedAt = Math.min(invalidatedAt, performance.now())))
    const stop = callers.everyMillis(10, WRITE)
    await sleep(300)
    // The name, here the proxy, leads to the new primary; the old one takes no writes any more.
    rig.proxy.setTarget(next.server)
    await administer(
      rig.server.config,
      'ALTER SYSTEM SET default_transaction_read_only = on',
      'SELECT pg_reload_conf()',
    )
    const demotedAt = performance.now()
    await sleep(pick(5_000, 1_500))
    await stop()
    const refused = callers.calls.filter(({ code }) => code === '25006')
    const afterwards = refused.filter(({ askedAt }) => askedAt > invalidatedAt)
    const last = Math.max(...refused.map(({ endedAt }) => endedAt))
    const createMillis = pool.stats().create.p99
    figures('C6 failover', {
      ...callers.tally(),
      'refused after the change was known': afterwards.length,
      'known after ms': invalidatedAt - demotedAt,
      'last refusal after ms': last - demotedAt,
      'connect p99 ms': createMillis,
      generation: pool.stats().generation,
    })
    expect(refused.length).toBeGreaterThan(0)
    expect(afterwards).toEqual([])
    expect(callers.calls.filter(({ outcome, code }) => outcome !== 'ok' && code !== '25006')).toEqual([])
    expect(last - demotedAt).toBeLessThanOrEqual(2 * createMillis + 1_000 + rig.lag.allowance)
    expect(pool.stats().generation).toBe(1)
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the old primary has no connection any more' })
    await administer(
      rig.server.config,
      'SET default_transaction_read_only = off',
      'ALTER SYSTEM RESET default_transaction_read_only',
      'SELECT pg_reload_conf()',
    )
    rig.proxy.setTarget(rig.server)
  })

  it('C22: a password that is rotated fails no acquire, and a wrong one clears nothing', async () => {
    await administer(rig.server.config, 'DROP ROLE IF EXISTS app', "CREATE ROLE app LOGIN PASSWORD 'first'")
    let password = 'first'
    let asked = 0
    const pool = rig.pool({
      user: 'app',
      max: 10,
      // As a secret store answers: a little later, with the present one.
      password: async () => {
        asked++
        await sleep(5)
        return password
      },
    })
    const counts = countEvents(pool, 'invalidated', 'paused')
    const callers = new Callers(pool)
    const stop = callers.everyMillis(5, 'SELECT pg_sleep(0.02)')
    for (let rotation = 0; rotation < pick(10, 4); rotation++) {
      // All that is open has logged in with the present password: a login under way while it changes fails nobody.
      const { created } = pool.stats()
      pool.core.invalidate({ spreadMillis: 100 })
      await waitFor(() => pool.stats().created >= created + 3, { what: 'new ones are open', timeoutMillis: 30_000 })
      await sleep(pick(1_000, 50))
      await waitFor(() => pool.stats().creating === 0, { what: 'no login is under way', timeoutMillis: 30_000 })
      password = `rotated ${rotation}`
      await administer(rig.server.config, `ALTER ROLE app PASSWORD '${password}'`)
    }
    pool.core.invalidate({ spreadMillis: 100 })
    await sleep(300)
    await stop()
    const rotated = { ...callers.tally() }
    const before = pool.stats()
    // The store lags behind: new connections are refused, and the one that is left serves everybody.
    const { generation, createErrors } = pool.stats()
    await administer(rig.server.config, "ALTER ROLE app PASSWORD 'not told'")
    const [held, ...others] = await Promise.all(Array.from({ length: pool.stats().total }, () => pool.connect()))
    for (const client of others) client.release(true)
    const served = Array.from({ length: 12 }, () => callers.ask('SELECT pg_sleep(0.01)'))
    await waitFor(() => pool.stats().createErrors > createErrors, { what: 'a login is refused' })
    held?.release()
    const refusals = pool.stats().createErrors - createErrors
    const outcomes = (await Promise.all(served)).map(({ outcome }) => outcome)
    figures('C22 rotated password', {
      ...rotated,
      'password asked': asked,
      created: before.created,
      'refused logins with a wrong one': refusals,
      'served by the one connection left': outcomes.filter((outcome) => outcome === 'ok').length,
      ...counts,
    })
    expect(Object.keys(rotated)).toEqual(['ok'])
    expect(refusals).toBeGreaterThan(0)
    expect(refusals).toBeLessThanOrEqual(10)
    expect(outcomes.every((outcome) => outcome === 'ok')).toBe(true)
    expect(pool.stats().generation).toBe(generation)
    expect(counts['invalidated']).toBe(0)
  })
})
