import { Socket, type LookupFunction } from 'node:net'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, startFaultProxy, waitFor } from '@millpond/rig'
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

/** A name service with one name, whose address changes. */
class Dns {
  address: string
  asked = 0

  constructor(address: string) {
    this.address = address
  }

  /** A socket that asks it, whatever it is told to connect to. */
  socket(): Socket {
    const lookup: LookupFunction = (_, { all }, done) => {
      this.asked++
      if (all === true) done(null, [{ address: this.address, family: 4 }])
      else done(null, this.address, 4)
    }
    const socket = new Socket()
    const connect = socket.connect.bind(socket)
    // The driver gives port and host alone.
    socket.connect = ((port: number, host: string) => connect({ port, host, lookup })) as typeof socket.connect
    return socket
  }
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

  it.each([
    ['before the old primary takes no writes any more', -100],
    ['half a second after that', 500],
  ])(
    'C6: the name leads to the new primary %s: every write goes there as soon as one connection has confirmed it',
    async (_, nameLater) => {
      // Two addresses with the same port, and one name for them.
      const before = await startFaultProxy(rig.server)
      const afterwards = await startFaultProxy(next.server, undefined, { host: '127.0.0.2', port: before.port })
      const dns = new Dns('127.0.0.1')
      const pool = rig.pool({
        host: 'primary.test',
        port: before.port,
        stream: () => dns.socket(),
        targetSessionAttrs: 'read-write',
        acquireTimeoutMillis: 20_000,
      })
      await rig.fill(pool)
      const callers = new Callers(pool)
      let invalidatedAt = Infinity
      let generations = 0
      pool.core.on('invalidated', ({ reason }) => {
        generations++
        if (reason === 'role-change') invalidatedAt = Math.min(invalidatedAt, performance.now())
      })
      const connects = countEvents(pool, 'createStarted')
      const lookups = dns.asked
      const stop = callers.everyMillis(10, WRITE)
      await sleep(300)
      const demote = administer(
        rig.server.config,
        'ALTER SYSTEM SET default_transaction_read_only = on',
        'SELECT pg_reload_conf()',
      )
      if (nameLater > 0) await demote.then(() => sleep(nameLater))
      dns.address = '127.0.0.2'
      const movedAt = performance.now()
      await demote
      await sleep(pick(5_000, 1_500))
      await waitFor(() => pool.state === 'open', { what: 'the pool is open' })
      await stop()
      const refused = callers.calls.filter(({ code }) => code === '25006')
      const tooLate = refused.filter(({ askedAt }) => askedAt > invalidatedAt)
      const last = Math.max(...refused.map(({ endedAt }) => endedAt))
      const served = callers.of('ok').filter(({ endedAt }) => endedAt > invalidatedAt)
      const createMillis = pool.stats().create.p99
      figures(`C6 failover, the name changes ${nameLater > 0 ? 'later' : 'first'}`, {
        ...callers.tally(),
        'refused after the change was known': tooLate.length,
        'last refusal after the name changed ms': last - movedAt,
        'first write to the new one after that ms': Math.min(...served.map(({ endedAt }) => endedAt)) - movedAt,
        'connect p99 ms': createMillis,
        generations,
        connects: connects['createStarted'],
        'asked DNS': dns.asked - lookups,
      })
      expect(refused.length).toBeGreaterThan(0)
      expect(tooLate).toEqual([])
      expect(callers.calls.filter(({ outcome, code }) => outcome !== 'ok' && code !== '25006')).toEqual([])
      expect(last - movedAt).toBeLessThanOrEqual(2 * createMillis + 1_000 + rig.lag.allowance)
      expect(served.length).toBeGreaterThan(0)
      expect(generations).toBe(1)
      // Whoever connects asks where to: an address that was true a second ago is not kept.
      expect(dns.asked - lookups).toBe(connects['createStarted'])
      await waitFor(async () => (await rig.view.count()) === 0, { what: 'the old primary has no connection any more' })
      await pool.close({ timeoutMillis: 500 })
      await before.close()
      await afterwards.close()
      await administer(
        rig.server.config,
        'SET default_transaction_read_only = off',
        'ALTER SYSTEM RESET default_transaction_read_only',
        'SELECT pg_reload_conf()',
      )
    },
  )

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
