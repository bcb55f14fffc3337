import {
  NotInstalledError,
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
  readonly prices: HttpServer | undefined
  readonly shipping: GrpcServer | undefined
  /** What is not there, why, and what that means, one line each. */
  readonly missing: readonly string[]
}

/** What the demo does without a server. It needs a PostgreSQL; of all else it tells that it is missing. */
const WITHOUT = {
  Redis: 'users are read from PostgreSQL each time',
  MariaDB: 'orders are kept in PostgreSQL alone',
  'The stand-in for MongoDB': 'events are told to nobody',
  'The HTTP service': 'orders are taken at the list price',
  'The gRPC service': 'orders are taken without a quote',
} as const

/** It is killed, and must not forget what it has committed: numbers of orders would come twice, to the ledger too. */
const DATABASE = { max_connections: 60, synchronous_commit: 'on' }

/** "is not installed" where that is so, and otherwise what happened. */
function reasonOf(error: unknown): string {
  if (error instanceof NotInstalledError) return 'is not installed'
  const lines = (error instanceof Error ? error.message : String(error)).trim().split('\n')
  // The last thing that a server said is why it ended.
  return `could not be started (${[...new Set([lines[0], lines.at(-1)])].join(' ')})`
}

/** Starts all servers at once, each in a temporary folder on a free port of 127.0.0.1. */
export async function startServers(
  url: string | undefined,
  undo: (step: () => Promise<unknown>) => void,
): Promise<Servers> {
  const missing: string[] = []
  const started = async <S extends { stop(): Promise<unknown> }>(start: () => Promise<S>): Promise<S> => {
    const server = await start()
    undo(() => server.stop())
    return server
  }
  const ifThere = async <S extends { stop(): Promise<unknown> }>(
    what: keyof typeof WITHOUT,
    start: () => Promise<S>,
  ): Promise<S | undefined> => {
    try {
      return await started(start)
    } catch (error) {
      missing.push(`${what} ${reasonOf(error)}: ${WITHOUT[what]}.`)
      return undefined
    }
  }
  // One that fails must not leave the others behind, which are still starting.
  const [postgres, redis, mariadb, mongo, prices, shipping] = await Promise.all([
    url === undefined
      ? started(() => startPostgres({ settings: DATABASE })).catch((error: unknown) => error as Error)
      : undefined,
    ifThere('Redis', () => startRedis()),
    ifThere('MariaDB', () => startMariaDb()),
    ifThere('The stand-in for MongoDB', () => startMongoWire()),
    ifThere('The HTTP service', () => startHttp()),
    ifThere('The gRPC service', () => startGrpc()),
  ])
  if (postgres instanceof Error)
    throw new Error(
      `PostgreSQL ${reasonOf(postgres)}, and the shop keeps its orders there. Give it one of your own: npm start -- --url postgres://user:password@host/database`,
      { cause: postgres },
    )
  return { postgres, redis, mariadb, mongo, prices, shipping, missing }
}
