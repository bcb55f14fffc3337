import { SERVER_TIMEOUT_MILLIS, type Target } from './target.ts'
import type { ServerFacts } from './facts.ts'

/** The little of the MongoDB driver that is used. Mongoose has it as `mongo`. */
interface MongoModule {
  readonly MongoClient: new (
    url: string,
    options: object,
  ) => {
    connect(): Promise<unknown>
    db(name: string): { command(command: object): Promise<Record<string, unknown>> }
    close(): Promise<void>
  }
}

/** Asks a MongoDB server. */
export async function askMongodb(
  driver: { readonly name: string; readonly module: unknown },
  { url }: Target,
): Promise<ServerFacts> {
  const module =
    driver.name === 'mongoose' ? (driver.module as { mongo: MongoModule }).mongo : (driver.module as MongoModule)
  const client = new module.MongoClient(url, {
    serverSelectionTimeoutMS: SERVER_TIMEOUT_MILLIS,
    connectTimeoutMS: SERVER_TIMEOUT_MILLIS,
    maxPoolSize: 1,
    appName: 'millpond doctor',
  })
  const startedAt = performance.now()
  try {
    await client.connect()
    const connectMillis = performance.now() - startedAt
    const pingedAt = performance.now()
    await client.db('admin').command({ ping: 1 })
    const pingMillis = performance.now() - pingedAt
    const { version } = await client.db('admin').command({ buildInfo: 1 })
    // Takes a privilege that a program may not have.
    const status: Record<string, unknown> = await client
      .db('admin')
      .command({ serverStatus: 1 })
      .catch(() => ({}))
    const { current = 0, available = Infinity } = (status['connections'] ?? {}) as {
      current?: number
      available?: number
    }
    return {
      version: `MongoDB ${String(version)}`,
      connectMillis,
      pingMillis,
      limit: current + available,
      limitNote: `${current + available} connections in all`,
      used: current,
      idleLimitMillis: Infinity,
      idleLimitName: '',
      tls: url.startsWith('mongodb+srv:') || /[?&](tls|ssl)=true/.test(url),
    }
  } finally {
    await client.close()
  }
}
