import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import mysql from 'mysql2/promise'
import pg from 'pg'
import * as undici from 'undici'
import { RIG_PROTO } from '@millpond/rig'
import { PoolRegistry } from 'millpond'
import { poolConfig, type AdapterOptions, type Kind, type PoolConfig, type PoolSettings } from 'millpond/config'
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
function ordersPool(options: AdapterOptions<'postgres'>): OrdersPool {
  return pgPool(pg, options)
}

/** Every pool of the service, configured as one would for production, in one registry. */
export function makePools(url: string, { redis, mariadb, mongo, prices, shipping }: Servers) {
  const registry = new PoolRegistry()
  const configs = new Map<string, PoolConfig>()
  // What code leaves open, the environment may say: ORDERS_POOL_MAX=30 npm start.
  const configured = <K extends Kind>(name: string, kind: K, code: PoolSettings): AdapterOptions<K> => {
    const config: PoolConfig<K> = poolConfig({ name, code: { ...code, kind } })
    configs.set(name, config)
    return config.options
  }

  const orders = registry.register(
    ordersPool(
      configured('orders', 'postgres', {
        preset: 'database',
        url,
        min: 5,
        acquireTimeoutMillis: 5_000,
        // A restart of the database is to be waited out, not answered with errors.
        failFastWhenDown: false,
        leakThresholdMillis: 10_000,
        statementTimeoutMillis: 5_000,
        applicationName: 'millpond-demo',
        driver: { options: `-c search_path=${SCHEMA}` },
      }),
    ),
    { required: true },
  )

  const cache =
    redis &&
    registry.register(redisPool(Redis, configured('cache', 'redis', { preset: 'redis', host: redis.host, port: redis.port }))) // prettier-ignore

  const ledger =
    mariadb &&
    registry.register(mysqlPool(mysql, configured('ledger', 'mysql', { ...mariadb.config, max: 10, maxIdle: 5 })))

  let events: MongoClient | undefined
  if (mongo !== undefined) {
    const { name, uri, ...settings } = configured('events', 'mongodb', { url: mongo.uri(), max: 10, min: 1 })
    events = new MongoClient(uri, mongoOptions(settings))
    registry.register(observeMongo(events, { name }))
  }

  const catalogue =
    prices &&
    registry.register(
      httpPool(
        undici,
        configured('prices', 'http', {
          preset: 'http',
          url: prices.origin,
          acquireTimeoutMillis: 500,
          headersTimeoutMillis: 500,
          failFastWhenDown: true,
          driver: { retry: true, circuit: true },
        }),
      ),
    )

  const carrier =
    shipping && registry.register(quotesPool(configured('shipping', 'grpc', { url: shipping.target, max: 4 })))
  return { registry, configs, orders, cache, ledger, events, catalogue, carrier }
}

/** The pool of the carrier's service, whose client class comes from its description. */
function quotesPool({ target, ...channels }: AdapterOptions<'grpc'>) {
  const { millpond } = grpc.loadPackageDefinition(loadSync(RIG_PROTO)) as unknown as {
    millpond: { rig: { Echo: new (...args: ConstructorParameters<typeof grpc.Client>) => QuoteClient } }
  }
  return grpcPool(millpond.rig.Echo, target, grpc.credentials.createInsecure(), channels)
}

export type Pools = ReturnType<typeof makePools>
