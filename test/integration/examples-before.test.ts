import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { waitFor, type PostgresServer, type ServerView } from '@millpond/rig'
import { ExamplePrograms, loadExample as load } from '../support/examples.ts'
import { describePostgres, startServer, type TestPool } from '../support/pg.ts'

// What goes wrong in the programs of examples/ that are named "before"; examples.test.ts shows the same with what came after.

describePostgres('the examples, before', () => {
  let server: PostgresServer
  let view: ServerView
  let admin: pg.Client
  const programs = new ExamplePrograms()

  beforeAll(async () => {
    ;({ server, view } = await startServer())
    admin = new pg.Client({ ...server.config, application_name: 'millpond-rig-view' })
    await admin.connect()
    await admin.query(`CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL);
      CREATE TABLE shipments (order_id int NOT NULL REFERENCES orders, address text NOT NULL);
      CREATE TABLE accounts (name text PRIMARY KEY, balance int NOT NULL);
      INSERT INTO orders (item) VALUES ('a lamp');
      INSERT INTO accounts VALUES ('ada', 10), ('bob', 0)`)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await programs.end()
    await waitFor(async () => (await view.count()) === 0, { what: 'nothing is left on the server' })
  })
  afterAll(async () => {
    await admin.end()
    await view.close()
    await server.stop()
  })

  const start = (file: string, env?: NodeJS.ProcessEnv): { child: ChildProcess; said: string[] } =>
    programs.start(file, server, env)

  it('a service on Express, Fastify and Nest hangs after two failures, and cuts requests off', async () => {
    const outcomeOf = async (framework: string): Promise<unknown> => {
      const { child, said } = start(`services/${framework}-before.mjs`)
      const url = await waitFor(() => said[0], { what: `${framework} listens` })
      const fail = async (): Promise<number> => {
        const headers = { 'content-type': 'application/json' }
        const body = JSON.stringify({ item: 'half an order' })
        return (await fetch(`${url}/orders`, { method: 'POST', headers, body })).status
      }
      const order: unknown = await (await fetch(`${url}/orders/1`)).json()
      const failed = [await fail(), await fail()]
      // Both connections are out for ever, each with its transaction open. Who asks now waits for ever.
      const late = fetch(`${url}/orders/1`).then(() => 'answered', () => 'cut off') // prettier-ignore
      const soon = await Promise.race([late, new Promise((resolve) => setTimeout(resolve, 300, 'no answer'))])
      child.kill('SIGTERM')
      return { order, failed, soon, late: await late }
    }
    const outcome = { order: { id: 1, item: 'a lamp' }, failed: [500, 500], soon: 'no answer', late: 'cut off' }
    expect(await Promise.all(['express', 'fastify', 'nest'].map(outcomeOf))).toEqual([outcome, outcome, outcome])
  })

  it('node:cluster: each worker takes the default', async () => {
    const { said } = start('processes/cluster-before.mjs', { WORKERS: '3' })
    const url = await waitFor(() => (said.length === 3 ? said[0] : undefined), { what: 'the workers listen' })
    const answers = await Promise.all(
      Array.from({ length: 90 }, async () => (await (await fetch(url)).json()) as { backend: number }),
    )
    // After: at most six, of the seven that the machine may have.
    expect(new Set(answers.map(({ backend }) => backend)).size).toBeGreaterThan(7)
  })

  it('worker_threads: each thread takes the default', async () => {
    const { child, said } = start('processes/threads-before.mjs')
    await once(child, 'close')
    const { jobs, backends } = JSON.parse(said.at(-1) ?? '') as { jobs: number; backends: number }
    expect(jobs).toBe(60)
    expect(backends).toBeGreaterThan(6)
  })

  it('tenants: nothing bounds them together', async () => {
    const { poolOf, pools } = (
      await load<{
        openTenants(config: object): { pools: Map<string, pg.Pool>; poolOf(tenant: string): pg.Pool }
      }>('tenants/tenants-before.mjs')
    ).openTenants(server.config)
    const names = ['a', 'b', 'c', 'd'].map((name) => `tenant_${name}`)
    for (const name of names) await admin.query(`CREATE DATABASE ${name}`)
    const clients = await Promise.all(names.flatMap((name) => [1, 2, 3].map(() => poolOf(name).connect())))
    // After: at most nine.
    expect(await view.count()).toBe(12)
    for (const client of clients) client.release()
    await Promise.all([...pools.values()].map((pool) => pool.end()))
    // pg's end() is over before its connections are.
    await waitFor(async () => (await view.count()) === 0, { what: 'the connections of all tenants are gone' })
    for (const name of names) await admin.query(`DROP DATABASE ${name}`)
  })

  it('Vercel: nobody keeps the function awake until its connection is closed', async () => {
    vi.stubEnv('DATABASE_URL', server.connectionString)
    const awake: Promise<unknown>[] = []
    const KEY = Symbol.for('@vercel/request-context')
    const holder = globalThis as Record<symbol, unknown>
    holder[KEY] = { get: () => ({ waitUntil: (promise: Promise<unknown>) => awake.push(promise) }) }
    try {
      const { GET, orders } = await load<{ GET(request: Request): Promise<Response>; orders: pg.Pool }>(
        'serverless/vercel-before.mjs',
      )
      expect((await GET(new Request('http://shop.example/orders?id=1'))).status).toBe(200)
      // After: three requests, three promises, and none open when they have settled.
      expect([awake.length, orders.totalCount]).toEqual([0, 1])
      await orders.end()
    } finally {
      Reflect.deleteProperty(holder, KEY)
    }
  })

  it('HikariCP: the same configuration and the same transaction, in the words of pgPool', async () => {
    const { openAccounts, transfer } = await load<{
      openAccounts(config: object): TestPool
      transfer(accounts: TestPool, from: string, to: string, amount: number): Promise<void>
    }>('before-after/hikaricp.mjs')
    const accounts = openAccounts(server.config)
    await transfer(accounts, 'ada', 'bob', 4)
    await expect(transfer(accounts, 'ada', 'nobody', 4)).rejects.toThrow('there is no account of nobody')
    const { rows } = await accounts.query('SELECT name, balance FROM accounts ORDER BY name')
    expect(rows).toEqual([
      { name: 'ada', balance: 6 },
      { name: 'bob', balance: 4 },
    ])
    expect(accounts.stats()).toMatchObject({ name: 'accounts', max: 10 })
    await accounts.close()
  })
})

describe('before and after', () => {
  it('tarn: what is given back twice is not lent to two', async () => {
    interface Subject {
      take(): Promise<unknown>
      end(): Promise<unknown>
    }
    const { before, after, giveBackTwice } = await load<{
      before(): Subject
      after(): Subject
      giveBackTwice(subject: Subject): Promise<unknown>
    }>('before-after/tarn.mjs')
    const outcomes: unknown[] = []
    for (const make of [before, after]) {
      const subject = make()
      outcomes.push(await giveBackTwice(subject))
      await subject.end()
    }
    expect(outcomes).toEqual([
      { told: undefined, shared: true },
      { told: 'ERR_POOL_LEASE_RELEASED', shared: false },
    ])
  })
})
