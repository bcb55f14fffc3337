import { inspect } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { startFaultProxy, startRedis, waitFor, type FaultProxy, type RedisServer } from '@millpond/rig'
import { watchUncaught } from '../support/uncaught.ts'
import { ALL_DRIVERS, tryRedis, type TestOptions, type TestPool } from '../support/redis.ts'

const found = await tryRedis()
afterAll(async () => {
  await found?.stop()
})

const reason = async (promise: Promise<unknown>): Promise<Error & { code?: string; pool?: unknown }> => {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(outcome instanceof Error)) throw new Error('it did not reject')
  return outcome
}

describe.skipIf(found === undefined).each(ALL_DRIVERS)('on $name', (driver) => {
  const server = found as RedisServer
  const pools: TestPool[] = []
  const proxies: FaultProxy[] = []
  const make = (
    target: { readonly port: number; readonly password?: string | undefined },
    options?: TestOptions,
  ): TestPool => {
    const pool = driver.pool({ port: target.port, password: target.password }, options)
    pools.push(pool)
    return pool
  }
  const proxy = async (): Promise<FaultProxy> => {
    const made = await startFaultProxy(server)
    proxies.push(made)
    return made
  }
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.close({ timeoutMillis: 200, waiters: 'reject' })
    for (const each of proxies.splice(0)) await each.close()
  })

  it('a server that was restarted while nothing ran costs nobody an error', async () => {
    await using own = await startRedis()
    const uncaught = watchUncaught()
    const pool = make(own)
    await pool.client.set('k', 'v')
    await pool.use((client) => client.get('k'))
    await own.restart()
    expect(await pool.client.get('k')).toBe(null)
    expect(await pool.use((client) => client.get('k'))).toBe(null)
    uncaught.stop()
    expect(uncaught.errors).toEqual([])
  })

  it('commands wait while the server is down, and are served when it is back', async () => {
    await using own = await startRedis()
    const pool = make(own)
    await pool.client.get('k')
    await own.kill()
    await waitFor(() => pool.lanes.shared.stats().total === 0, { what: 'the loss is noticed' })
    const waiting = Array.from({ length: 20 }, (_, n) => pool.client.set(`k${n}`, String(n)))
    await waitFor(() => pool.lanes.shared.stats().waiting > 0, { what: 'commands wait' })
    await own.start()
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['OK']))
    expect(await pool.client.get('k19')).toBe('19')
  })

  it('the offline queue is bounded in length and time', async () => {
    await using own = await startRedis()
    const pool = make(own, { acquireTimeoutMillis: 300, maxWaiting: 5, maxRetriesPerRequest: null })
    await pool.client.get('k')
    await own.kill()
    await waitFor(() => pool.lanes.shared.stats().total === 0, { what: 'the loss is noticed' })
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => pool.client.get('k')))
    const codes = answers.map((each) =>
      each.status === 'rejected' ? (each.reason as { code: string }).code : 'served',
    )
    expect(codes.filter((code) => code === 'ERR_POOL_OVERLOADED')).toHaveLength(3)
    expect(codes.filter((code) => code === 'ERR_POOL_ACQUIRE_TIMEOUT')).toHaveLength(5)
  })

  it('a server that is down from the start is told with the driver’s own error, and is there once it is up', async () => {
    const away = await proxy()
    await away.set({ connect: 'refuse' })
    const pool = make(away, { acquireTimeoutMillis: 300 })
    const error = await reason(pool.client.get('k'))
    expect(error.code).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
    expect(pool.state).toBe('paused')
    expect((await pool.health()).status).toBe('fail')
    await away.clear()
    await waitFor(async () => (await pool.client.get('k')) === null, { what: 'commands are served' })
    expect((await pool.health()).status).toBe('pass')
  })

  it('a wrong password is told at once, with the server’s own words', async () => {
    await using own = await startRedis({ password: 'right' })
    const pool = make({ port: own.port, password: 'a-wrong-password' })
    const told: unknown[] = []
    pool.on('createFailed', (event) => told.push(event))
    const error = await reason(pool.client.get('k'))
    expect(error.message).toMatch(/WRONGPASS/)
    expect(error).toMatchObject({ pool: { name: 'redis:shared', code: 'ERR_POOL_CREATE' } })
    expect(told.length).toBeGreaterThan(0)
    const shown = inspect([error, told, pool, pool.stats(), await pool.health()], { depth: 12, showHidden: true })
    expect(shown).not.toContain('a-wrong-password')
    await expect(pool.ready()).rejects.toThrow(/WRONGPASS/)
    await expect(pool.use((client) => client.get('k'))).rejects.toThrow(/WRONGPASS/)
  })

  it('a server that takes no more clients leaves those that are there working', async () => {
    await using own = await startRedis({ settings: { maxclients: 4 } })
    const pool = make(own, { max: 10, acquireTimeoutMillis: 1_500 })
    await pool.client.get('k')
    const saturated: unknown[] = []
    pool.on('saturated', (event) => saturated.push(event))
    const held = Array.from({ length: 8 }, () =>
      pool.use(async (client) => {
        await new Promise((resolve) => setTimeout(resolve, 50))
        return await client.get('k')
      }),
    )
    expect(await Promise.all(held)).toEqual(Array.from({ length: 8 }, () => null))
    expect(await pool.client.get('k')).toBe(null)
    expect(saturated.length).toBeGreaterThan(0)
  })

  it('a connection that ends under a command costs that one, or, where the driver sends again, nobody', async () => {
    const between = await proxy()
    const pool = make(between)
    await pool.client.set('n', '1')
    // The command arrives, its answer does not.
    await between.set({ down: { blackHole: true } })
    const answer = pool.client.get('n')
    const settled = answer.catch((error: unknown) => error)
    await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'get'), {
      what: 'the command arrives',
    })
    between.cutAll('reset')
    await between.clear()
    if (driver.isNodeRedis) expect(await settled).toBeInstanceOf(Error)
    else expect(await settled).toBe('1')
    expect(await pool.client.get('n')).toBe('1')
  })

  it('a transaction that lost its connection is as the driver leaves it, and the next one works', async () => {
    const between = await proxy()
    const pool = make(between)
    await pool.client.set('n', '1')
    await between.set({ up: { blackHole: true } })
    const lost = pool.client.multi().incr('n').exec()
    const settled = lost.catch((error: unknown) => error)
    await new Promise((resolve) => setImmediate(resolve))
    between.cutAll('reset')
    await between.clear()
    const outcome = await settled
    expect(driver.isNodeRedis ? outcome instanceof Error : Array.isArray(outcome)).toBe(true)
    expect(await pool.client.get('n')).toBe(driver.isNodeRedis ? '1' : '2')
  })

  it('a blocking command whose connection ends is asked again, or fails as the driver has it', async () => {
    const pool = make(server)
    await server.ask('DEL', 'jobs')
    const settled = driver.block(pool.client, 'jobs', 30).catch((error: unknown) => error)
    await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'BLPOP blocks' })
    await server.endClients(({ cmd }) => cmd === 'blpop')
    if (driver.isNodeRedis) {
      expect(await settled).toBeInstanceOf(Error)
    } else {
      await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'it blocks anew' })
      await server.ask('RPUSH', 'jobs', 'one')
      expect(await settled).toEqual(['jobs', 'one'])
    }
  })

  it('a callback whose connection ends is never run again', async () => {
    const pool = make(server)
    let runs = 0
    const outcome = pool.use(async (client) => {
      runs++
      const id = await driver.id(client)
      await server.ask('CLIENT', 'KILL', 'ID', String(id))
      await driver.block(client, 'nothing', 30)
    })
    expect(await reason(outcome)).toBeInstanceOf(Error)
    expect(runs).toBe(1)
    expect(await pool.use((client) => client.get('k'))).toBe(null)
  })

  it('a server that stands still is found out, and what waited is served when it goes on', async () => {
    await using own = await startRedis()
    const pool = make(own, { keepAliveMillis: 200, validateTimeoutMillis: 200, createTimeoutMillis: 500 })
    await pool.client.set('k', 'v')
    own.pause()
    const answer = pool.client.get('k').catch((error: unknown) => error)
    await waitFor(() => pool.lanes.shared.stats().destroyed.validate > 0, { what: 'the silence is noticed' })
    if (driver.isNodeRedis) {
      // It does not send again what may have been carried out.
      expect(await answer).toBeInstanceOf(Error)
      own.resume()
    } else {
      own.resume()
      expect(await answer).toBe('v')
    }
    await waitFor(async () => (await pool.client.get('k')) === 'v', { what: 'commands are served' })
  })

  it('a master that became a replica is left, so that a name that points elsewhere by now is followed', async () => {
    await using old = await startRedis()
    await using promoted = await startRedis()
    const name = await startFaultProxy(old)
    proxies.push(name)
    const pool = make(name)
    await pool.client.set('k', 'old')
    await pool.use((client) => client.get('k'))
    name.setTarget(promoted)
    await old.ask('REPLICAOF', '127.0.0.1', String(promoted.port))
    const refused = await reason(pool.client.set('k', 'new'))
    expect(refused.message).toMatch(/^READONLY/)
    await waitFor(async () => (await pool.client.set('k', 'new')) === 'OK', { what: 'writes are taken' })
    expect(await promoted.ask('GET', 'k')).toBe('new')
    expect(await pool.use((client) => client.set('k', 'newer'))).toBe('OK')
  })

  it('a replica that is asked for a write all the time is not reconnected to all the time', async () => {
    await using master = await startRedis()
    await using replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${master.port}` } })
    const pool = make(replica)
    await waitFor(async () => (await reason(pool.client.set('k', 'v'))).message.startsWith('READONLY'), {
      what: 'it refuses',
    })
    for (let n = 0; n < 20; n++) await reason(pool.client.set('k', 'v'))
    expect(pool.lanes.shared.stats().created).toBeLessThanOrEqual(3)
  })

  it('an outage costs one probe at a time', async () => {
    const away = await proxy()
    const pool = make(away)
    await pool.client.get('k')
    await away.set({ connect: 'reset' })
    away.cutAll('reset')
    const before = away.accepted
    const waiting = Array.from({ length: 200 }, () => pool.client.get('k').catch((error: unknown) => error))
    await waitFor(() => away.accepted - before >= 3, { what: 'it is tried again' })
    // One at a time, with pauses in between: never one for each caller.
    expect(away.accepted - before).toBeLessThan(20)
    await away.clear()
    await Promise.all(waiting)
    expect(await pool.client.get('k')).toBe(null)
  })

  it('a lost connection without an offline queue is told at once', async () => {
    await using own = await startRedis()
    const pool = make(own, driver.isNodeRedis ? { disableOfflineQueue: true } : { enableOfflineQueue: false })
    await pool.client.get('k')
    await own.kill()
    await waitFor(() => pool.lanes.shared.stats().total === 0, { what: 'the loss is noticed' })
    expect((await reason(pool.client.get('k'))).message).toMatch(/enableOfflineQueue|offline/i)
  })
})

describe.skipIf(found === undefined)('ioredis’ own bounds', () => {
  it('hold: a command that met more failed connects than `maxRetriesPerRequest` is told so', async () => {
    const [ioredis] = ALL_DRIVERS
    await using own = await startRedis()
    const pool = ioredis?.pool(own, { maxRetriesPerRequest: 2 })
    await pool?.client.get('k')
    await own.kill()
    const error = await reason(pool?.client.get('k') ?? Promise.resolve())
    expect(error.name).toBe('MaxRetriesPerRequestError')
    expect(error.message).toMatch(/^Reached the max retries per request limit \(which is 2\)/)
    await pool?.close()
  })
})
