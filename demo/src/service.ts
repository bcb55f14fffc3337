import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import { pgPool, type BorrowedClient, type PgPoolExtras } from 'millpond/pg'

export type ServicePool = pg.Pool & PgPoolExtras<BorrowedClient<typeof pg>>

/** Everything of the demo stands in a schema of its own, on whichever server it is. */
export const SCHEMA = 'millpond_demo'
export const USERS = 1_000

/** A pool as one would configure it for production. */
export function makePool(connectionString: string): ServicePool {
  return pgPool(pg, {
    connectionString,
    name: 'shop',
    max: 20,
    min: 5,
    idleTimeoutMillis: 30_000,
    acquireTimeoutMillis: 5_000,
    // A restart of the database is to be waited out, not answered with errors.
    failFastWhenDown: false,
    leakThresholdMillis: 10_000,
    application_name: 'millpond-demo',
    options: `-c search_path=${SCHEMA}`,
    statement_timeout: 5_000,
  })
}

export async function makeTables(pool: ServicePool): Promise<void> {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA}`)
  await pool.query(`
    CREATE TABLE ${SCHEMA}.users (id int PRIMARY KEY, name text NOT NULL, orders int NOT NULL DEFAULT 0);
    CREATE TABLE ${SCHEMA}.orders (id bigserial PRIMARY KEY, user_id int NOT NULL REFERENCES ${SCHEMA}.users, total numeric NOT NULL CHECK (total > 0));
    INSERT INTO ${SCHEMA}.users (id, name) SELECT n, 'user ' || n FROM generate_series(1, ${USERS}) AS n;`)
}

class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What the routes need of a database, so that the same routes also run without a pool. */
export interface Database {
  query(text: string, values: readonly unknown[]): Promise<pg.QueryResult>
  transaction<R>(work: (client: pg.ClientBase) => Promise<R>): Promise<R>
  health(): Promise<{ readonly status: string; readonly message: string }>
}

export function pooled(pool: ServicePool): Database {
  return {
    query: (text, values) => pool.query(text, [...values]),
    transaction: (work) => pool.transaction(work),
    health: () => pool.health({ timeoutMillis: 1_000 }),
  }
}

/** The way that a pool replaces: a connection for every request. */
export function connectionPerRequest(connectionString: string): Database {
  const connected = async <R>(work: (client: pg.Client) => Promise<R>): Promise<R> => {
    const client = new pg.Client({
      connectionString,
      options: `-c search_path=${SCHEMA}`,
      application_name: 'millpond-demo',
    })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  return {
    query: (text, values) => connected((client) => client.query(text, [...values])),
    transaction: (work) =>
      connected(async (client) => {
        await client.query('BEGIN')
        try {
          const result = await work(client)
          await client.query('COMMIT')
          return result
        } catch (error) {
          await client.query('ROLLBACK')
          throw error
        }
      }),
    health: () => Promise.resolve({ status: 'pass', message: 'No pool' }),
  }
}

export class Service {
  readonly #database: Database
  readonly #server: Server

  constructor(database: Database) {
    this.#database = database
    this.#server = createServer((request, response) => {
      void this.#answer(request, response)
    })
    this.#server.keepAliveTimeout = 30_000
  }

  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeIdleConnections()
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await this.#route(request)
      response.writeHead(body.status, { 'content-type': 'application/json' }).end(JSON.stringify(body.value))
    } catch (error) {
      const status = error instanceof HttpError ? error.status : 503
      const message = error instanceof HttpError ? error.message : 'Try again later'
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: message }))
    }
  }

  async #route(request: IncomingMessage): Promise<{ status: number; value: unknown }> {
    const { method, url = '/' } = request
    const user = /^\/users\/(\d{1,9})$/.exec(url)?.[1]
    if (method === 'GET' && user !== undefined) return { status: 200, value: await this.#user(Number(user)) }
    if (method === 'POST' && url === '/orders')
      return { status: 201, value: await this.#order(await readJson(request)) }
    if (method === 'GET' && url === '/health') {
      const health = await this.#database.health()
      return {
        status: health.status === 'fail' ? 503 : 200,
        value: { healthy: health.status !== 'fail', message: health.message },
      }
    }
    throw new HttpError(404, 'There is GET /users/:id, POST /orders and GET /health')
  }

  async #user(id: number): Promise<unknown> {
    const { rows } = await this.#database.query('SELECT id, name, orders FROM users WHERE id = $1', [id])
    if (rows[0] === undefined) throw new HttpError(404, `There is no user ${id}`)
    return rows[0]
  }

  async #order(order: unknown): Promise<unknown> {
    const { userId, total } = (order ?? {}) as { userId?: unknown; total?: unknown }
    if (!Number.isInteger(userId)) throw new HttpError(400, 'Expected `userId` to be a whole number')
    if (typeof total !== 'number' || !(total > 0)) throw new HttpError(400, 'Expected `total` to be a number above 0')
    return await this.#database.transaction(async (client) => {
      const { rows } = await client.query('INSERT INTO orders (user_id, total) VALUES ($1, $2) RETURNING id', [
        userId,
        total,
      ])
      await client.query('UPDATE users SET orders = orders + 1 WHERE id = $1', [userId])
      return rows[0] as unknown
    })
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) {
    text += (chunk as Buffer).toString()
    if (text.length > 10_000) throw new HttpError(413, 'The body is too large')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new HttpError(400, 'The body is not JSON')
  }
}
