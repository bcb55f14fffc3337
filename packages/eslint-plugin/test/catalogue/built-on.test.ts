// Each entry of the catalogue about what is built on drivers, and about pools of anything, tried on the real thing.
import { PrismaPg } from '@prisma/adapter-pg'
import { createPool } from 'generic-pool'
import knex from 'knex'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import { Pool as TarnPool } from 'tarn'
import { DataSource } from 'typeorm'
import { describe, expect, vi } from 'vitest'
import { delay, itLeavesNothingUntried, itTries, silentServer } from './tries.ts'

const silent = silentServer()

describe('Sequelize', () => {
  interface OwnPool {
    readonly maxSize: number
    readonly idleTimeoutMillis: number
    readonly acquireTimeoutMillis: number
  }
  /** The pool that it makes, by what that pool itself says. */
  const made = (pool: object): OwnPool => {
    const url = `postgres://a@127.0.0.1:${silent.port()}/a`
    const { connectionManager } = new Sequelize(url, { pool, dialectModule: pg, logging: false }) as unknown as {
      connectionManager: { initPools(): void; pool: { write?: OwnPool } & OwnPool }
    }
    connectionManager.initPools()
    const own = connectionManager.pool.write ?? connectionManager.pool
    const { maxSize, idleTimeoutMillis, acquireTimeoutMillis } = own
    return { maxSize, idleTimeoutMillis, acquireTimeoutMillis }
  }

  itTries('makes the pool that it makes without %s', { driver: 'sequelize' }, (option, { instead = '' }) => {
    expect(made({ [option]: 3 })).toEqual(made({}))
    expect(made({ [instead]: 3 })).not.toEqual(made({}))
  })
})

describe('Knex', () => {
  itTries('warns of %s', { driver: 'knex' }, async (option) => {
    const said: string[] = []
    const make = (): unknown =>
      knex({
        client: 'pg',
        connection: 'postgres://a@127.0.0.1/a',
        pool: { [option]: 3 },
        log: { warn: (text: string) => void said.push(text) },
      })
    try {
      await (make() as { destroy(): Promise<void> }).destroy()
    } catch {
      // tarn may refuse what Knex has warned of.
    }
    expect(said.join(' ')).toContain(`Pool config option "${option}" is no longer supported`)
  })
})

describe('tarn', () => {
  itTries('refuses %s', { driver: 'tarn' }, (option) => {
    const factory = { create: () => ({}), destroy: () => undefined, min: 0, max: 1 }
    expect(() => new TarnPool({ ...factory, [option]: 3 })).toThrow(/unsupported option/)
  })
})

/** pg as it is, and the options with which pools of it are made. */
function watchedPg(): { readonly module: typeof pg; readonly made: pg.PoolConfig[] } {
  const made: pg.PoolConfig[] = []
  class Watched extends pg.Pool {
    constructor(options: pg.PoolConfig = {}) {
      super(options)
      made.push((this as unknown as { options: pg.PoolConfig }).options)
    }
  }
  return { module: { ...pg, Pool: Watched }, made }
}

describe('TypeORM', () => {
  itTries('makes the pool that it makes without %s', { driver: 'typeorm' }, async (option) => {
    const made = async (options: object): Promise<pg.PoolConfig | undefined> => {
      const watched = watchedPg()
      const source = new DataSource({ type: 'postgres', host: '127.0.0.1', port: 1, driver: watched.module, ...options })
      await expect(source.initialize()).rejects.toThrow()
      return watched.made[0]
    }
    expect((await made({ poolSize: 3 }))?.max).toBe(3)
    expect((await made({ [option]: option === 'pool' ? { max: 3 } : 3 }))?.max).toBe(10)
  }) // prettier-ignore
})

describe('Prisma', () => {
  itTries('makes a pool of its own beside the one in %s', { driver: 'prisma' }, async (option) => {
    const pool = new pg.Pool({ host: '127.0.0.1', port: silent.port(), connectionTimeoutMillis: 100 })
    const used = vi.spyOn(pool, 'connect')
    const query = vi.spyOn(pool, 'query')
    const ask = async (...given: [unknown]): Promise<void> => {
      const adapter = await new PrismaPg(...(given as [pg.Pool])).connect()
      await adapter.queryRaw({ sql: 'SELECT 1', args: [], argTypes: [] }).catch(() => undefined)
      if (given[0] !== pool) await adapter.dispose()
    }
    // Without the pool's address it would look at the usual port, where somebody may be.
    vi.stubEnv('PGPORT', '1')
    await ask({ [option]: pool })
    expect([used.mock.calls.length, query.mock.calls.length]).toEqual([0, 0])
    await ask(pool)
    expect(used.mock.calls.length + query.mock.calls.length).toBeGreaterThan(0)
    vi.unstubAllEnvs()
    await pool.end()
  })
})

describe('generic-pool', () => {
  const factory = { create: () => Promise.resolve({}), destroy: () => Promise.resolve() }

  itTries('never closes what is idle by %s', { driver: 'generic-pool' }, async (option, { value, unless }) => {
    const idleAfter = async (options: object, gone: boolean): Promise<number> => {
      const pool = createPool(factory, { min: 0, max: 2, idleTimeoutMillis: 5, ...options })
      await pool.release(await pool.acquire())
      if (gone)
        await vi.waitFor(() => { expect(pool.available).toBe(0) }, { timeout: 5_000 }) // prettier-ignore
      else await delay(80)
      const count = pool.available
      await pool.drain()
      await pool.clear()
      return count
    }
    expect(await idleAfter({ evictionRunIntervalMillis: 5 }, true)).toBe(0)
    expect(await idleAfter(unless === undefined ? { [option]: value } : {}, false)).toBe(1)
  })
})

itLeavesNothingUntried('built-on.test.ts')
