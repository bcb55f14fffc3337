import { Client, credentials } from '@grpc/grpc-js'
import { Redis } from 'ioredis'
import mysql from 'mysql2'
import pg from 'pg'
import { expect, it } from 'vitest'
import { fallbackOf, optionsOf } from '../../../src/config/option-table.ts'
import type { Kind } from '../../../src/config/kinds.ts'
import { engineOf, type Pool } from '../../../src/core/pool.ts'
import { grpcPool } from 'millpond/grpc'
import { mysqlPool } from 'millpond/mysql'
import { pgPool } from 'millpond/pg'
import { redisPool } from 'millpond/redis'

/** A pool of each adapter that is told nothing, and the engine's pool behind it; making one opens nothing. */
const POOLS: readonly [Kind, () => { close(): Promise<unknown> }, (pool: never) => Pool<never>][] = [
  ['postgres', () => pgPool(pg, {}), coreOf],
  ['mysql', () => mysqlPool(mysql, {}), coreOf],
  ['redis', () => redisPool(Redis, {}), ({ lanes }: { lanes: { exclusive: Pool<never> } }) => lanes.exclusive],
  ['grpc', () => grpcPool(Client, 'dns:///localhost:1', credentials.createInsecure()), coreOf],
]

function coreOf({ core }: { core: Pool<never> }): Pool<never> {
  return core
}

it.each(POOLS)('what is shown as the default of %s is what its adapter does', async (kind, make, engine) => {
  const pool = make()
  const options = engineOf(engine(pool as never)).options as unknown as Record<string, unknown>
  for (const option of optionsOf(kind)) {
    const fallback = fallbackOf(option, kind)
    if (fallback !== undefined && option in options) expect([option, fallback]).toEqual([option, options[option]])
  }
  await pool.close()
})
