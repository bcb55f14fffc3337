import {
  startGrpc,
  startHttp,
  startMariaDb,
  startMongoWire,
  startPostgres,
  startRedis,
  type GrpcServer,
  type HttpServer,
  type MariaDbServer,
  type MongoWireServer,
  type PostgresServer,
  type RedisServer,
} from '@millpond/rig'

/** The servers that the demo runs on, as far as this machine has them. */
export interface Servers {
  /** Undefined where the user brings an own one. */
  readonly postgres: PostgresServer | undefined
  readonly redis: RedisServer | undefined
  readonly mariadb: MariaDbServer | undefined
  readonly mongo: MongoWireServer | undefined
  readonly prices: HttpServer
  readonly shipping: GrpcServer
  /** What is not there, and what that means, one line each. */
  readonly missing: readonly string[]
}

/** What does not come with npm, and what the demo does without it. */
const WITHOUT: Readonly<Record<'redis' | 'mariadb', string>> = {
  redis: 'Redis is not installed: users are read from PostgreSQL each time.',
  mariadb: 'MariaDB is not installed: orders are kept in PostgreSQL alone.',
}

/** Starts all servers at once, each in a temporary folder on a free port of 127.0.0.1. */
export async function startServers(
  url: string | undefined,
  undo: (step: () => Promise<unknown>) => void,
): Promise<Servers> {
  const missing: string[] = []
  const started = async <S extends { stop(): Promise<unknown> }>(starting: Promise<S>): Promise<S> => {
    const server = await starting
    undo(() => server.stop())
    return server
  }
  const ifThere = async <S extends { stop(): Promise<unknown> }>(
    name: keyof typeof WITHOUT,
    start: () => Promise<S>,
  ): Promise<S | undefined> => {
    try {
      return await started(start())
    } catch {
      missing.push(WITHOUT[name])
      return undefined
    }
  }
  const [postgres, redis, mariadb, mongo, prices, shipping] = await Promise.all([
    url === undefined ? started(startPostgres({ settings: { max_connections: 60 } })) : undefined,
    ifThere('redis', () => startRedis()),
    ifThere('mariadb', () => startMariaDb()),
    started(startMongoWire()),
    started(startHttp()),
    started(startGrpc()),
  ])
  return { postgres, redis, mariadb, mongo, prices, shipping, missing }
}
