import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import mysql from 'mysql2/promise'
import pg from 'pg'
import * as undici from 'undici'
import { RIG_PROTO } from '@millpond/rig'
import { PoolRegistry } from 'millpond'
import { grpcPool } from 'millpond/grpc'
import { httpPool } from 'millpond/http'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { mysqlPool } from 'millpond/mysql'
import { pgPool, type BorrowedClient, type PgPoolExtras } from 'millpond/pg'
import { redisPool } from 'millpond/redis'
import type { Servers } from './servers.ts'

/** Everything of the demo stands in a schema of its own, on whichever server it is. */
export const SCHEMA = 'millpond_demo'

export type OrdersPool = pg.Pool & PgPoolExtras<BorrowedClient<typeof pg>>

interface QuoteReply {
  readonly text: string
}
/** The client class of the rig's service, as @grpc/proto-loader makes it. */
type QuoteClient = grpc.Client & {
  unary(
    request: { text: string },
    callback: (error: grpc.ServiceError | null, reply: QuoteReply) => void,
  ): grpc.ClientUnaryCall
}

/** The pool of the database without which nothing works. */
export function ordersPool(connectionString: string): OrdersPool {
  return pgPool(pg, {
    connectionString,
    name: 'orders',
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

/** Every pool of the service, configured as one would for production, in one registry. */
export function makePools(url: string, { redis, mariadb, mongo, prices, shipping }: Servers) {
  const registry = new PoolRegistry()
  const orders = registry.register(ordersPool(url), { required: true })

  const cache =
    redis && registry.register(redisPool(Redis, { poolName: 'cache', host: redis.host, port: redis.port, max: 10 }))

  const ledger =
    mariadb &&
    registry.register(mysqlPool(mysql, { ...mariadb.config, name: 'ledger', connectionLimit: 10, maxIdle: 5 }))

  const events = mongo && new MongoClient(mongo.uri(), mongoOptions({ max: 10, min: 1 }))
  if (events !== undefined) registry.register(observeMongo(events, { name: 'events' }))

  const catalogue = registry.register(
    httpPool(undici, {
      name: 'prices',
      origin: prices.origin,
      max: 20,
      acquireTimeoutMillis: 500,
      headersTimeoutMillis: 500,
      failFastWhenDown: true,
      retry: true,
      circuit: true,
    }),
  )

  const { millpond } = grpc.loadPackageDefinition(loadSync(RIG_PROTO)) as unknown as {
    millpond: { rig: { Echo: new (...args: ConstructorParameters<typeof grpc.Client>) => QuoteClient } }
  }
  const carrier = registry.register(
    grpcPool(millpond.rig.Echo, shipping.target, grpc.credentials.createInsecure(), {
      name: 'shipping',
      maxChannels: 4,
    }),
  )
  return { registry, orders, cache, ledger, events, catalogue, carrier }
}

export type Pools = ReturnType<typeof makePools>
