import type { ResourceFactory } from 'millpond'
import { connectRedis } from '../servers/redis.ts'
import { loadDriver, SERVER_TIMEOUT_MILLIS, type Target } from '../servers/target.ts'

/** One connection to a server, and the question that is asked on it again and again. */
export interface Connection {
  ask(): Promise<unknown>
  end(): Promise<unknown>
}

/** What is asked where nothing else is given: as little as each server can answer. */
export const QUESTIONS = { postgres: 'SELECT 1', mysql: 'SELECT 1', mongodb: 'ping', redis: 'PING' } as const

/**
 * Connections to a server, each opened by the project's own driver, for a pool.
 *
 * @param question - SQL, or words of Redis; MongoDB takes none
 */
export async function connectionsTo(
  root: string,
  target: Target,
  question: string,
): Promise<ResourceFactory<Connection>> {
  const driver = await loadDriver(root, target.kind)
  const open = OPENERS[target.kind]
  return {
    kind: target.kind,
    create: () => open(driver, target, question),
    destroy: async (connection) => {
      await connection.end()
    },
  }
}

type Open = (
  driver: { readonly name: string; readonly module: Readonly<Record<string, unknown>> },
  target: Target,
  question: string,
) => Promise<Connection>

const OPENERS: Readonly<Record<Target['kind'], Open>> = {
  async postgres({ module }, { url }, question) {
    const { Client } = module as { Client: new (options: object) => PgClient }
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: SERVER_TIMEOUT_MILLIS,
      application_name: 'millpond bench',
    })
    client.on('error', () => undefined)
    await client.connect()
    return { ask: () => client.query(question), end: () => client.end().catch(() => undefined) }
  },
  mysql({ module }, { url }, question) {
    const { createConnection } = module as { createConnection(this: void, options: object): MysqlConnection }
    const connection = createConnection({
      uri: url.replace(/^mariadb:/, 'mysql:'),
      connectTimeout: SERVER_TIMEOUT_MILLIS,
    })
    connection.on('error', () => undefined)
    const settled = (start: (done: (error: Error | null) => void) => void): Promise<void> =>
      new Promise((resolve, reject) => {
        start((error) => {
          if (error === null) resolve()
          else reject(error)
        })
      })
    const end = (): Promise<void> => {
      connection.destroy()
      return Promise.resolve()
    }
    const opened = { ask: () => settled((done) => { connection.query(question, done) }), end } // prettier-ignore
    return settled((done) => { connection.connect(done) }).then(() => opened, async (error: unknown) => { await end(); throw error }) // prettier-ignore
  },
  async mongodb({ name, module }, { url }) {
    const { MongoClient } = (name === 'mongoose' ? module['mongo'] : module) as {
      MongoClient: new (url: string, options: object) => Mongo
    }
    const client = new MongoClient(url, {
      maxPoolSize: 1,
      serverSelectionTimeoutMS: SERVER_TIMEOUT_MILLIS,
      connectTimeoutMS: SERVER_TIMEOUT_MILLIS,
      appName: 'millpond bench',
    })
    await client.connect()
    return { ask: () => client.db('admin').command({ ping: 1 }), end: () => client.close() }
  },
  async redis(driver, { url }, question) {
    const redis = await connectRedis(driver, url)
    const words = question.split(/\s+/)
    return {
      ask: () => redis.call(...words),
      end: () => {
        redis.end()
        return Promise.resolve()
      },
    }
  },
}

interface PgClient {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  on(event: 'error', listener: () => void): void
}

interface MysqlConnection {
  connect(done: (error: Error | null) => void): void
  query(text: string, done: (error: Error | null) => void): void
  destroy(): void
  on(event: 'error', listener: () => void): void
}

interface Mongo {
  connect(): Promise<unknown>
  db(name: string): { command(command: object): Promise<unknown> }
  close(): Promise<unknown>
}
