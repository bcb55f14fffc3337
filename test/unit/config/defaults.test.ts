import { Client, credentials } from '@grpc/grpc-js'
import pg from 'pg'
import { expect, it } from 'vitest'
import { fallbackOf, optionsOf } from '../../../src/config/option-table.ts'
import type { Kind } from '../../../src/config/kinds.ts'
import { engineOf, type Pool } from '../../../src/core/pool.ts'
import { grpcPool } from 'millpond/grpc'
import { pgPool } from 'millpond/pg'

/** A pool of each adapter that is told nothing; making one opens nothing. */
const POOLS: readonly [Kind, () => { readonly core: Pool<never>; close(): Promise<unknown> }][] = [
  ['postgres', () => pgPool(pg, {}) as unknown as { core: Pool<never>; close(): Promise<unknown> }],
  [
    'grpc',
    () =>
      grpcPool(Client, 'dns:///localhost:1', credentials.createInsecure()) as unknown as {
        core: Pool<never>
        close(): Promise<unknown>
      },
  ],
]

it.each(POOLS)('what is shown as the default of %s is what its adapter does', async (kind, make) => {
  const pool = make()
  const options = engineOf(pool.core).options as unknown as Record<string, unknown>
  for (const option of optionsOf(kind)) {
    const fallback = fallbackOf(option, kind)
    if (fallback !== undefined && option in options) expect([option, fallback]).toEqual([option, options[option]])
  }
  await pool.close()
})
