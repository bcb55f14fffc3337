import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { attachDatabasePool } from '@vercel/functions'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  promote,
  sleep,
  startFaultProxy,
  startStandby,
  waitFor,
  type PostgresServer,
  type ServerView,
} from '@millpond/rig'
import { PoolError, type PoolGroup, type PoolRegistry } from 'millpond'
import { ExamplePrograms, examples, loadExample as load } from '../support/examples.ts'
import { describePostgres, startServer, type TestPool } from '../support/pg.ts'

describePostgres('the examples', () => {
  let server: PostgresServer
  let view: ServerView
  let admin: pg.Client
  const programs = new ExamplePrograms()

  beforeAll(async () => {
    ;({ server, view } = await startServer())
    admin = new pg.Client({ ...server.config, application_name: 'millpond-rig-view' })
    // One test kills the server.
    admin.on('error', () => undefined)
    await admin.connect()
    await admin.query(`CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL);
      CREATE TABLE shipments (order_id int NOT NULL REFERENCES orders, address text NOT NULL);
      CREATE TABLE payments (amount int NOT NULL);
      INSERT INTO orders (item) VALUES ('a lamp')`)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await programs.end()
  })
  afterAll(async () => {
    await admin.end()
    await view.close()
    await server.stop()
  })

  const start = (file: string, env?: NodeJS.ProcessEnv): { child: ChildProcess; said: string[] } =>
    programs.start(file, server, env)

  async function outputOf(file: string, env: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const { child, said } = start(file, env)
    await once(child, 'close')
    expect([child.exitCode, child.signalCode]).toEqual([0, null])
    return JSON.parse(said.at(-1) ?? '')
  }

  describe.each(['express', 'fastify', 'nest'])('a service on %s', (framework) => {
    it('answers, keeps its transactions whole, and ends in order', async () => {
      const { child, said } = start(`services/${framework}.mjs`)
      const ended = once(child, 'exit')
      const url = await waitFor(() => said[0], { what: `${framework} listens` })
      const post = async (body: object) =>
        await fetch(`${url}/orders`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })

      expect(await (await fetch(`${url}/orders/1`)).json()).toEqual({ id: 1, item: 'a lamp' })
      expect((await fetch(`${url}/orders/999999`)).status).toBe(404)
      expect((await post({ item: 'a chair', address: 'Here 1' })).status).toBe(201)
      // The second statement fails, so the first is undone.
      expect((await post({ item: `half, by ${framework}` })).status).toBe(500)
      const { rows } = await admin.query('SELECT 1 FROM orders WHERE item = $1', [`half, by ${framework}`])
      expect(rows).toEqual([])
      expect((await fetch(`${url}/health/ready`)).status).toBe(200)

      // A request is under way when the orchestrator stops the process.
      await admin.query('BEGIN; LOCK TABLE orders')
      const late = fetch(`${url}/orders/1`)
      await waitFor(async () => (await view.backends()).some(({ state }) => state === 'active'), {
        what: 'the request waits for the lock',
      })
      child.kill('SIGTERM')
      await sleep(100)
      await admin.query('COMMIT')
      expect(await (await late).json()).toEqual({ id: 1, item: 'a lamp' })
      const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null]
      expect(code ?? signal).toBe(framework === 'nest' ? 'SIGTERM' : 143)
      await waitFor(async () => (await view.count()) === 0, { what: 'nothing is left on the server' })
    })
  })

  it('Next.js: one pool however often its module is evaluated, and another when it is edited', async () => {
    expect(await outputOf('nextjs/dev-server.mjs', { NODE_ENV: 'production' })).toEqual({
      reloads: 8,
      before: { pools: 8, open: 8 },
      after: { pools: 1, open: 1 },
      edited: { pools: 2, open: 1 },
      listeners: 1,
    })
  })

  describe('a function on Lambda that slept while the network forgot its connection', () => {
    async function run(handler: string): Promise<{ first: unknown; second: unknown; heard: string[] }> {
      await using proxy = await startFaultProxy(server)
      const child = fork(`${examples}serverless/runtime.mjs`, [`./${handler}.mjs`], {
        env: { ...process.env, DATABASE_URL: server.connectionString.replace(`:${server.port}/`, `:${proxy.port}/`) },
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      })
      programs.children.push(child)
      const heard: string[] = []
      if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => heard.push(line))
      const answers: unknown[] = []
      child.on('message', (message) => answers.push(message))
      const answer = async (count: number, timeoutMillis?: number): Promise<unknown> =>
        await waitFor(() => answers[count], {
          what: `the answer ${count}`,
          ...(timeoutMillis === undefined ? {} : { timeoutMillis }),
        })
      await answer(0)
      child.send({ number: 1 })
      const first = await answer(1)
      await sleep(300)
      child.kill('SIGSTOP')
      for (const connection of proxy.connections) connection.blackHole()
      await sleep(2_800)
      child.kill('SIGCONT')
      child.send({ number: 41 })
      const second = handler === 'lambda' ? await answer(2) : await answer(2, 1_000).catch(() => 'no answer')
      child.kill('SIGKILL')
      return { first, second, heard }
    }
    const result = (answer: number): unknown => ({ result: { answer, backend: expect.any(Number) as number } })

    it('before: the next query goes into the void; after: another connection takes its place', async () => {
      const [before, after] = await Promise.all([run('lambda-before'), run('lambda')])
      expect(before).toMatchObject({ first: result(2), second: 'no answer' })
      expect([after.first, after.second]).toEqual([result(2), result(42)])
      expect(after.heard.join()).toMatch(/slept for \d{4,} ms/)
    })
  })

  it('Vercel: the function stays awake until its connections are closed', async () => {
    vi.stubEnv('DATABASE_URL', server.connectionString)
    vi.stubEnv('IDLE_MILLIS', '300')
    const awake: Promise<unknown>[] = []
    // Where the platform puts it, and where its package looks.
    const KEY = Symbol.for('@vercel/request-context')
    const holder = globalThis as Record<symbol, unknown>
    holder[KEY] = { get: () => ({ waitUntil: (promise: Promise<unknown>) => awake.push(promise) }) }
    try {
      const { GET, orders, registry } = await load<{
        GET(request: Request): Promise<Response>
        orders: TestPool
        registry: PoolRegistry
      }>('serverless/vercel.mjs')
      const answers = await Promise.all([1, 2, 3].map(() => GET(new Request('http://shop.example/orders?id=1'))))
      expect(await answers[0]?.json()).toEqual({ id: 1, item: 'a lamp' })
      expect([awake.length, orders.stats().total > 0]).toEqual([3, true])
      expect(await Promise.all(awake)).toEqual([true, true, true])
      expect(orders.stats().total).toBe(0)

      // The platform's own way takes the pool for a pg.Pool.
      vi.stubEnv('VERCEL_URL', 'shop.example')
      vi.stubEnv('VERCEL_REGION', 'fra1')
      attachDatabasePool(orders)
      await orders.query('SELECT 1')
      expect(awake).toHaveLength(4)
      await awake[3]
      await waitFor(() => orders.stats().total === 0, { what: 'its connection is closed' })
      await registry.close()
    } finally {
      Reflect.deleteProperty(holder, KEY)
    }
  })

  it('node:cluster: all workers together stay within what the machine may have', async () => {
    const { child, said } = start('processes/cluster.mjs', { WORKERS: '3', CONNECTIONS: '7' })
    const url = await waitFor(() => (said.length === 3 ? said[0] : undefined), { what: 'the workers listen' })
    let peak = 0
    const watch = setInterval(() => void view.count().then((count) => (peak = Math.max(peak, count))), 20)
    const answers = await Promise.all(
      Array.from({ length: 90 }, async () => (await (await fetch(url)).json()) as { worker: number; backend: number }),
    )
    clearInterval(watch)
    expect(new Set(answers.map(({ worker }) => worker)).size).toBe(3)
    expect(new Set(answers.map(({ backend }) => backend)).size).toBeLessThanOrEqual(6)
    expect(peak).toBeLessThanOrEqual(6)
    child.kill('SIGTERM')
    await once(child, 'exit')
    expect(child.exitCode).toBe(0)
    await waitFor(async () => (await view.count()) === 0, { what: 'nothing is left on the server' })
  })

  it('worker_threads: each has its share, and all end by themselves', async () => {
    const { jobs, threads, max, backends } = (await outputOf('processes/threads.mjs')) as Record<string, number>
    expect({ jobs, threads, max }).toEqual({ jobs: 60, threads: 3, max: 2 })
    expect(backends).toBeGreaterThanOrEqual(3)
    expect(backends).toBeLessThanOrEqual(6)
  })

  it('tenants: one bound for all of them, and none holds up another', async () => {
    const names = ['a', 'b', 'c', 'd'].map((name) => `tenant_${name}`)
    for (const name of names) {
      await admin.query(`CREATE DATABASE ${name}`)
      const tenant = new pg.Client({ ...server.config, database: name })
      await tenant.connect()
      await tenant.query(`CREATE TABLE orders AS SELECT 'of ${name}' AS item`)
      await tenant.end()
    }
    const { registry, tenants, ordersOf } = (
      await load<{
        openTenants(config: object): {
          registry: PoolRegistry
          tenants: PoolGroup<string, TestPool>
          ordersOf(tenant: string): Promise<unknown>
        }
      }>('tenants/tenants.mjs')
    ).openTenants(server.config)
    for (const name of names) expect(await ordersOf(name)).toEqual([{ database: name, item: `of ${name}` }])
    // The fourth took the place of whoever was asked for longest ago.
    expect([...tenants.keys()]).toEqual(names.slice(1))
    await expect(ordersOf('postgres')).rejects.toThrow('no such tenant')

    const busy = await Promise.all([1, 2, 3].map(() => tenants.get('tenant_b').connect()))
    expect(await ordersOf('tenant_c')).toHaveLength(1)
    const others = await Promise.all(['tenant_c', 'tenant_d'].map((name) => tenants.get(name).connect()))
    const refused = await ordersOf('tenant_a').catch((error: unknown) => error)
    expect(PoolError.is(refused, 'ERR_POOL_OVERLOADED')).toBe(true)
    for (const client of [...busy, ...others]) client.release()
    expect(await ordersOf('tenant_a')).toHaveLength(1)
    expect(await view.count()).toBeLessThanOrEqual(9)
    await registry.close()
  })

  describe('before and after', () => {
    interface Pair<P> {
      before(config: object): P
      after(config: object): P
    }

    it('pg: a payment is not caught in the transaction of somebody who releases twice', async () => {
      const { before, after, payWhileSomebodyReleasesTwice } = await load<
        Pair<pg.Pool> & { payWhileSomebodyReleasesTwice(pool: pg.Pool): Promise<unknown> }
      >('before-after/pg.mjs')
      const outcomes: unknown[] = []
      for (const make of [before, after]) {
        const pool = make(server.config)
        outcomes.push(await payWhileSomebodyReleasesTwice(pool))
        await pool.query('TRUNCATE payments')
        await pool.end()
      }
      expect(outcomes).toEqual([
        { told: undefined, answer: 'paid', kept: false },
        { told: 'ERR_POOL_LEASE_RELEASED', answer: 'paid', kept: true },
      ])
    })

    it('knex: what one request sets is not there for the next', async () => {
      interface Subject {
        readonly db: unknown
        end(): Promise<void>
      }
      const { before, after, reportThenWork } = await load<
        Pair<Subject> & { reportThenWork(db: unknown): Promise<string> }
      >('before-after/knex.mjs')
      const outcomes: string[] = []
      for (const make of [before, after]) {
        const { db, end } = make(server.config)
        outcomes.push(await reportThenWork(db))
        await end()
      }
      expect(outcomes).toEqual(['canceling statement due to statement timeout', 'works'])
    })

    it('generic-pool: a server that is away is not stormed, and the caller is told why', async () => {
      const { unreachable, before, after, askWhileAway } = await load<{
        unreachable(): { readonly attempts: number }
        before(factory: object): { drain(): Promise<void>; clear(): Promise<void> }
        after(factory: object): { close(): Promise<unknown> }
        askWhileAway(
          pool: object,
          factory: object,
        ): Promise<{ attempts: number; told: string; cause: string | undefined }>
      }>('before-after/generic-pool.mjs')
      const factories = [unreachable(), unreachable()] as const
      const old = before(factories[0])
      const stormed = await askWhileAway(old, factories[0])
      const pool = after(factories[1])
      const calm = await askWhileAway(pool, factories[1])
      await pool.close()
      await old.drain()
      await old.clear()
      expect(stormed.attempts).toBeGreaterThan(20)
      expect(calm.attempts).toBeLessThan(10)
      expect([stormed.cause, calm.cause]).toEqual([undefined, 'ECONNREFUSED'])
      expect(stormed.told).toBe('ResourceRequest timed out')
      expect(calm.told).toContain('no ledger resource within')
    })
  })

  it('replicas: writes find the new primary after a failover, reads go on', async () => {
    const standby = await startStandby(server)
    const address = ({ host, port }: PostgresServer): string => `${host}:${port}`
    const { user, password, database } = server.config
    const store = (
      await load<{
        openStore(
          config: object,
          hosts: { primary: string; replica: string },
        ): {
          registry: PoolRegistry
          writer: TestPool
          reader: TestPool
          place(item: string): Promise<number>
          count(): Promise<number>
          find(id: number): Promise<{ item: string } | undefined>
        }
      }>('replicas/replicas.mjs')
    ).openStore({ user, password, database }, { primary: address(server), replica: address(standby) })
    const { openStore: openBefore } = await load<{
      openStore(config: object, hosts: object): { pool: pg.Pool; place(item: string): Promise<number> }
    }>('replicas/replicas-before.mjs')
    const where = async (pool: TestPool): Promise<number> => {
      const { rows } = await pool.query<{ port: number }>('SELECT inet_server_port() AS port')
      return rows[0]?.port ?? 0
    }
    try {
      const id = await store.place('a table')
      expect((await store.find(id))?.item).toBe('a table')
      expect([await where(store.writer), await where(store.reader)]).toEqual([server.port, standby.port])
      const { rows } = await admin.query<{ orders: number }>('SELECT count(*)::int AS orders FROM orders')
      let orders = rows[0]?.orders ?? 0
      await waitFor(async () => (await store.count()) === orders, { what: 'the replica has it too' })

      const before = openBefore({ user, password, database }, { primary: address(server) })
      expect(await before.place('a bench')).toBeGreaterThan(id)
      orders++
      await waitFor(async () => (await store.count()) === orders, { what: 'the replica has that as well' })

      await server.kill()
      // While nobody takes writes, they wait; reads do not notice.
      const waiting = store.place('a stool')
      waiting.catch(() => undefined) // told below
      expect(await store.count()).toBe(orders)
      await promote(standby)
      expect((await store.find(await waiting))?.item).toBe('a stool')
      expect(await where(store.writer)).toBe(standby.port)
      expect(await store.count()).toBe(orders + 1)
      // Before: one address, and nobody there.
      await expect(before.place('a shelf')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await before.pool.end()
    } finally {
      await store.registry.close({ timeoutMillis: 1_000, waiters: 'reject' })
      await standby.stop()
      await server.start()
    }
  })
})
