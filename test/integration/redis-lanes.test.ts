import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep, waitFor, type RedisServer } from '@millpond/rig'
import { ALL_DRIVERS, tryRedis, type NodeRedis, type TestOptions, type TestPool } from '../support/redis.ts'
import { Desk, expectSteered } from '../support/steering.ts'

const found = await tryRedis()
afterAll(async () => {
  await found?.stop()
})

describe.skipIf(found === undefined).each(ALL_DRIVERS)('on $name', (driver) => {
  const server = found as RedisServer
  const pools: TestPool[] = []
  const make = (options?: TestOptions): TestPool => {
    const pool = driver.pool(server, options)
    pools.push(pool)
    return pool
  }
  beforeEach(async () => {
    await server.ask('FLUSHALL')
  })
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.close({ timeoutMillis: 200, waiters: 'reject' })
    await waitFor(async () => (await server.clients()).length === 0, { what: 'the server has no client left' })
  })

  it('is steered from the dashboard, all lanes together', async () => {
    const pool = make({ max: 2 })
    const hold = (): Promise<unknown> => pool.use((client) => driver.block(client, 'nothing', 60))
    await expectSteered({ pool, use: () => pool.client.get('k'), hold })
    // What is taken away has ended on purpose: it is not sent again, as what has lost its connection is.
    using desk = new Desk(pool)
    const blocked = driver.block(pool.client, 'nothing', 60)
    const lease = await waitFor(async () => (await desk.see()).leases[0], { what: 'BLPOP has a connection' })
    expect(lease).toMatchObject({ label: 'blpop', part: 'redis:exclusive' })
    await desk.act('kill', { resourceId: lease.resourceId, part: 'redis:exclusive' })
    await expect(blocked).rejects.toThrow('taken away')
    pool.suspend()
    const [subscribing, duplicate] = [pool.subscriber(), pool.client.duplicate()]
    const waiting = Promise.all([subscribing, duplicate.get('k'), pool.use((client) => client.get('k'))])
    await waitFor(() => pool.stats().waiting === 3, { what: 'every lane is suspended' })
    pool.resume()
    const [subscriber] = await waiting
    await subscriber[Symbol.asyncDispose]()
  })

  describe('the shared lane', () => {
    it('takes the time of commands', async () => {
      const pool = make()
      for (let n = 0; n < 3; n++) {
        await pool.client.get('k')
        await sleep(50)
      }
      // The first one had to wait for the connection: it had it for no time.
      expect(pool.stats()).toMatchObject({ wait: { count: 4 }, use: { count: 4 } })
      expect(pool.stats().use.p50).toBeGreaterThan(0)
    })

    it('opens nothing before the first command, and one connection for all of them', async () => {
      const { client } = make()
      expect(await server.clients()).toEqual([])
      await Promise.all(Array.from({ length: 100 }, (_, n) => client.set(`k${n}`, String(n))))
      expect(await client.get('k42')).toBe('42')
      expect(await server.clients()).toHaveLength(1)
    })

    it('keeps the order of commands, also of those that waited for the connection', async () => {
      const { client } = make()
      const answers = [client.set('k', '1'), client.get('k'), client.set('k', '2'), client.get('k'), client.incr('k')]
      expect((await Promise.all(answers)).slice(1)).toEqual(['1', 'OK', '2', 3])
    })

    it('spreads over as many connections as it is told', async () => {
      const pool = make({ shared: 3 })
      await pool.ready()
      expect(await server.clients()).toHaveLength(3)
      await Promise.all(Array.from({ length: 30 }, () => pool.client.incr('n')))
      expect(await pool.client.get('n')).toBe('30')
      expect(pool.laneStats().shared.commands).toBe(31)
    })

    it('caches with a time to live', async () => {
      const { client } = make()
      expect(await client.get('user:1')).toBe(null)
      const user = JSON.stringify({ name: 'Ada' })
      if (driver.isNodeRedis) await (client as unknown as NodeRedis).setEx('user:1', 60, user)
      else await client.setex('user:1', 60, user)
      expect(JSON.parse((await client.get('user:1')) ?? 'null')).toEqual({ name: 'Ada' })
      expect(await client.ttl('user:1')).toBeGreaterThan(50)
      await client.set('short', 'lived')
      await driver.raw(client, 'PEXPIRE', 'short', '1')
      await waitFor(async () => (await client.get('short')) === null, { what: 'the key expires' })
    })
  })

  describe('blocking commands', () => {
    it('are not waited for by a GET', async () => {
      const { client } = make()
      let popped = false
      const blocked = driver.block(client, 'jobs', 30).then((answer) => {
        popped = true
        return answer
      })
      await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'BLPOP blocks' })
      for (let n = 0; n < 10; n++) expect(await client.get('k')).toBe(null)
      expect(popped).toBe(false)
      await driver.raw(client, 'RPUSH', 'jobs', 'one')
      const answer = await blocked
      expect(driver.isNodeRedis ? Object.values(answer as object) : answer).toEqual(['jobs', 'one'])
    })

    it('are known by their words too, and streams by their BLOCK', async () => {
      const { client } = make()
      const blocked = [
        driver.raw(client, 'BLPOP', 'jobs', '30'),
        driver.raw(client, 'XREAD', 'COUNT', '1', 'BLOCK', '30000', 'STREAMS', 'events', '$'),
        driver.isNodeRedis
          ? (client as unknown as NodeRedis).xRead({ key: 'events', id: '$' }, { BLOCK: 30_000 })
          : client.xread('BLOCK', 30_000, 'STREAMS', 'events', '$'),
      ]
      const blocks = (cmd: string): boolean => cmd === 'blpop' || cmd === 'xread'
      await waitFor(async () => (await server.clients()).filter(({ cmd }) => blocks(cmd)).length === 3, {
        what: 'all three block',
      })
      expect(await client.get('k')).toBe(null)
      // One that does not block needs no connection of its own.
      await driver.raw(client, 'XREAD', 'STREAMS', 'events', '0')
      expect(await server.clients()).toHaveLength(4)
      await driver.raw(client, 'RPUSH', 'jobs', 'one')
      await driver.raw(client, 'XADD', 'events', '*', 'kind', 'made')
      for (const answer of await Promise.all(blocked)) expect(answer).not.toBe(null)
    })

    it('wait for a connection no longer than they may, and the error says who has them', async () => {
      const { client } = make({ max: 1, acquireTimeoutMillis: 500 })
      const first = driver.block(client, 'jobs', 30)
      await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'BLPOP blocks' })
      await expect(driver.block(client, 'jobs', 30)).rejects.toMatchObject({
        code: 'ERR_POOL_ACQUIRE_TIMEOUT',
        message: expect.stringContaining('blpop') as string,
      })
      await driver.raw(client, 'RPUSH', 'jobs', 'one')
      await first
    })
  })

  describe('a connection of one’s own', () => {
    it('sees no transaction but its own: WATCH, MULTI and EXEC', async () => {
      const pool = make()
      const attempt = (meanwhile: () => Promise<unknown>): Promise<unknown> =>
        pool.use(async (client) => {
          await client.watch('stock')
          await client.get('stock')
          await meanwhile()
          return await client
            .multi()
            .decr('stock')
            .exec()
            .catch((error: Error) => error.name)
        })
      await pool.client.set('stock', '5')
      const conflict = await attempt(() => pool.client.set('stock', '4'))
      expect(conflict === null || conflict === 'WatchError' || conflict === 'Error').toBe(true)
      expect(await pool.client.get('stock')).toBe('4')
      await attempt(() => pool.client.set('other', '1'))
      expect(await pool.client.get('stock')).toBe('3')
    })

    it('is given back as it was: database, transaction, watched keys, name, subscriptions', async () => {
      const pool = make({ max: 1 })
      const info = (): Promise<string> => pool.use(async (client) => String(await driver.raw(client, 'CLIENT', 'INFO')))
      const id = await pool.use((client) => driver.id(client))
      await pool.use(async (client) => {
        await client.select(3)
        await driver.raw(client, 'CLIENT', 'SETNAME', 'mine')
        await client.watch('k')
      })
      await pool.use(async (client) => {
        await driver.raw(client, 'MULTI')
        await driver.raw(client, 'SET', 'never', 'set')
      })
      await pool.use(async (client) => {
        if (driver.isNodeRedis) await (client as unknown as NodeRedis).subscribe('news', () => undefined)
        else await client.subscribe('news')
      })
      const after = await info()
      expect(after).toMatch(new RegExp(`^id=${id} `))
      expect(after).toMatch(/ name= /)
      expect(after).toMatch(/ db=0 sub=0 psub=0 .*multi=-1/)
      expect(await pool.client.get('never')).toBe(null)
    })

    it('ends when it took on what cannot be undone', async () => {
      const pool = make({ max: 1 })
      const id = await pool.use(async (client) => {
        await driver.raw(client, 'CLIENT', 'NO-EVICT', 'ON')
        return await driver.id(client)
      })
      expect(await pool.use((client) => driver.id(client))).not.toBe(id)
    })

    it('ends when a blocking command is left behind on it', async () => {
      const pool = make({ max: 1 })
      let left: Promise<unknown> = Promise.resolve()
      await pool.use((client) => {
        left = driver.block(client, 'jobs', 30).catch((error: unknown) => error)
      })
      expect(await pool.use((client) => client.get('k'))).toBe(null)
      expect(await left).toBeInstanceOf(Error)
    })

    it('cannot be used after its end', async () => {
      const pool = make({ max: 1 })
      const kept = await pool.use((client) => ({ client }))
      await expect(kept.client.get('k')).rejects.toMatchObject({ code: 'ERR_POOL_LEASE_RELEASED' })
      await expect(driver.raw(kept.client, 'GET', 'k')).rejects.toMatchObject({ code: 'ERR_POOL_LEASE_RELEASED' })
    })

    it('keeps the error of its callback, and survives an error of a command', async () => {
      const pool = make({ max: 1 })
      const mine = new Error('mine')
      await expect(pool.use(() => Promise.reject(mine))).rejects.toBe(mine)
      await pool.client.set('text', 'abc')
      const id = await pool.use((client) => driver.id(client))
      await expect(pool.use((client) => client.incr('text'))).rejects.toThrow(/not an integer/)
      expect(await pool.use((client) => driver.id(client))).toBe(id)
    })
  })

  describe('what changes a connection', () => {
    it('is refused on the shared client, with where it belongs', async () => {
      const { client } = make()
      await client.get('k')
      await expect(client.watch('k')).rejects.toThrow(/WATCH acts on one connection.*pool\.use/)
      await expect(client.select(3)).rejects.toThrow(/SELECT acts on one connection/)
      await expect(driver.raw(client, 'CLIENT', 'TRACKING', 'ON')).rejects.toThrow(/pool\.use/)
      await expect(driver.raw(client, 'MONITOR')).rejects.toThrow(/pool\.use/)
      await expect(client.select(0)).resolves.not.toThrow()
    })

    it('goes to a connection of its own when it is part of a transaction', async () => {
      const { client } = make()
      await client.multi().select(3).set('k', 'in three').exec()
      expect(await client.get('k')).toBe(null)
      expect(
        await server.askAll([
          ['SELECT', '3'],
          ['GET', 'k'],
        ]),
      ).toBe('in three')
    })

    it('a transaction without it needs none', async () => {
      const pool = make()
      const answer = await pool.client.multi().set('k', '1').incr('k').get('k').exec()
      expect(driver.isNodeRedis ? answer : answer?.map(([, each]) => each)).toEqual(['OK', 2, '2'])
      expect(pool.laneStats().exclusive.created).toBe(0)
    })
  })

  describe('subscribers', () => {
    it('hear what is published, and subscribe anew after a reconnect', async () => {
      const pool = make()
      const heard: string[] = []
      const subscriber = await pool.subscriber()
      if (driver.isNodeRedis) {
        await (subscriber as unknown as NodeRedis).subscribe('news', (text) => void heard.push(text))
      } else {
        subscriber.on('message', (_channel, text) => heard.push(text))
        await subscriber.subscribe('news')
      }
      await pool.client.publish('news', 'one')
      await waitFor(() => heard.length === 1, { what: 'the message arrives' })
      await server.endClients(({ cmd }) => cmd === 'subscribe')
      await waitFor(async () => (await pool.client.publish('news', 'two')) === 1, { what: 'it subscribes anew' })
      await waitFor(() => heard.includes('two'), { what: 'the second message arrives' })
      expect(pool.laneStats().subscriber.used).toBe(1)
      if (driver.isNodeRedis) await (subscriber as unknown as NodeRedis).close()
      else await subscriber.quit()
      expect(pool.laneStats().subscriber.used).toBe(0)
    })

    it('stand behind the shared client too', async () => {
      const { client } = make()
      const heard: string[] = []
      if (driver.isNodeRedis) {
        await (client as unknown as NodeRedis).subscribe('news', (text) => void heard.push(text))
      } else {
        client.on('message', (_channel, text) => heard.push(text))
        expect(await client.subscribe('news')).toBe(1)
      }
      expect(await client.publish('news', 'one')).toBe(1)
      await waitFor(() => heard.length === 1, { what: 'the message arrives' })
      expect(await client.get('k')).toBe(null)
      await client.unsubscribe('news')
      expect(await client.publish('news', 'two')).toBe(0)
    })
  })

  describe('closing', () => {
    it('answers what was sent, refuses what comes after in the driver’s words, and leaves nothing', async () => {
      const pool = make()
      await pool.client.get('k')
      const sent = [pool.client.set('k', 'v'), pool.client.get('k')]
      const report = await pool.close()
      expect(await Promise.all(sent)).toEqual(['OK', 'v'])
      await expect(pool.client.get('k')).rejects.toThrow(
        driver.isNodeRedis ? /The client is closed/ : /Connection is closed/,
      )
      await expect(pool.use(() => 1)).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
      expect(report).toMatchObject({ pool: 'redis', closed: 1, forced: 0 })
    })

    it('cuts blocking commands once their time is over', async () => {
      const pool = make()
      const blocked = driver.block(pool.client, 'jobs', 30).catch((error: unknown) => error)
      await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'BLPOP blocks' })
      const report = await pool.close({ timeoutMillis: 50 })
      expect(await blocked).toBeInstanceOf(Error)
      expect(report.forced).toBe(1)
      expect(report.holders).toEqual([expect.objectContaining({ label: 'blpop' })])
    })

    it('is what the client’s own goodbye does', async () => {
      const pool = make()
      await pool.client.get('k')
      await pool.client.quit()
      expect(pool.state).toBe('closed')
    })
  })

  it('is an instance of the driver’s class, and shows no option', () => {
    const { client } = make({ password: 'never-shown' })
    if (driver.name === 'ioredis') expect(client).toBeInstanceOf(Redis)
    expect(String(Object.getOwnPropertyNames(client))).not.toContain('password')
  })
})
