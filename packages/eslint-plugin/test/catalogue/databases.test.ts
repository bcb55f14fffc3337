// Each entry of the catalogue, tried on the driver itself, in the latest version and the lowest that is supported: a release
// that changes its mind fails here.
import { createRequire } from 'node:module'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClientLow } from 'mongodb-low'
import mongoose from 'mongoose'
import mysql from 'mysql2'
import mysqlLow from 'mysql2-low'
import pg from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { delay, innocent, itLeavesNothingUntried, itTries, silentServer, versionOf } from './tries.ts'

const require = createRequire(import.meta.url)
// These two come without types of their own, or with types that are no module under another name.
const mongooseLow = require('mongoose-low') as typeof mongoose
const pgLow = require('pg-lowest') as typeof pg

const silent = silentServer()

/** A client of pg that needs no server: the pool around it is the driver's own. */
class Client {
  readonly _queryable = true
  connect(done: () => void): void { done() }
  on(): this { return this }
  once(): this { return this }
  removeListener(): this { return this }
  end(done?: () => void): void { done?.() }
  getTransactionStatus(): string { return 'I' }
} // prettier-ignore

describe.each([
  { name: 'pg', module: pg },
  { name: 'pg, the lowest', module: pgLow },
])('$name', ({ module }) => {
  const poolOf = (options: object): pg.Pool => new module.Pool({ Client: Client as never, ...options })

  /** How an attempt to connect to a silent server goes, with an option that ought to end it. */
  async function attempt(options: object, patience = 250): Promise<string> {
    const pool = new module.Pool({ host: '127.0.0.1', port: silent.port(), ...options })
    pool.on('error', () => undefined)
    const client = pool.connect().then(() => 'connected', () => 'gave up') // prettier-ignore
    const outcome = await Promise.race([client, delay(patience)])
    silent.hangUp()
    await client
    await pool.end()
    return outcome
  }

  it('has the deadline that is recommended', async () => {
    expect(await attempt({ connectionTimeoutMillis: 50 }, 10_000)).toBe('gave up')
  })

  const DEADLINES = ['acquireTimeoutMillis', 'acquireTimeout', 'connectionTimeout', 'connectTimeout', 'connect_timeout']
  itTries('waits on in spite of %s', { driver: 'pg', options: DEADLINES }, async (option) => {
    expect(await attempt({ [option]: option === 'connect_timeout' ? 0.05 : 50 })).toBe('nothing yet')
  })

  const SIZES = ['connectionLimit', 'maxConnections', 'poolMax', 'pool']
  itTries('lends three at a time in spite of %s', { driver: 'pg', options: SIZES }, async (option) => {
    const lentBy = async (options: object): Promise<number> => {
      const pool = poolOf(options)
      const lent: pg.PoolClient[] = []
      const asking = [1, 2, 3].map(() => pool.connect().then((client) => lent.push(client)))
      await delay(20)
      const count = lent.length
      // What was lent is given back until nobody waits.
      for (let client = lent.pop(); client !== undefined; client = lent.pop()) {
        client.release()
        await delay(1)
      }
      await Promise.all(asking)
      for (const client of lent) client.release()
      await pool.end()
      return count
    }
    expect(await lentBy({ max: 1 })).toBe(1)
    expect(await lentBy({ [option]: option === 'pool' ? { max: 1 } : 1 })).toBe(3)
  })

  itTries('queues all who wait in spite of %s', { driver: 'pg', options: ['queueLimit', 'waitForConnections'] }, async (option) => {
    const pool = poolOf({ max: 1, [option]: option === 'queueLimit' ? 1 : false })
    const first = await pool.connect()
    const served = [1, 2, 3].map(async () => { (await pool.connect()).release() }) // prettier-ignore
    await delay(20)
    expect(pool.waitingCount).toBe(3)
    first.release()
    await Promise.all(served)
    await pool.end()
  }) // prettier-ignore

  const idleAfter = async (options: object, gone: boolean): Promise<number> => {
    const pool = poolOf(options)
    const client = await pool.connect()
    client.release()
    if (gone)
      await vi.waitFor(() => { expect(pool.idleCount).toBe(0) }, { timeout: 5_000 }) // prettier-ignore
    else await delay(60)
    const count = pool.idleCount
    await pool.end()
    return count
  }

  itTries('keeps an idle client in spite of %s', { driver: 'pg', options: ['idleTimeout', 'idleTimeoutMillis'] }, async (option) => {
    expect(await idleAfter({ idleTimeoutMillis: 1 }, true)).toBe(0)
    // Of the second, 0 is "never".
    expect(await idleAfter(option === 'idleTimeout' ? { idleTimeout: 1 } : { idleTimeoutMillis: 0 }, false)).toBe(1)
  }) // prettier-ignore

  itTries('keeps an old client in spite of %s', { driver: 'pg', options: ['maxLifetimeMillis'] }, async (option) => {
    expect(await idleAfter({ maxLifetimeSeconds: 0.005 }, true)).toBe(0)
    expect(await idleAfter({ [option]: 5 }, false)).toBe(1)
  })

  itTries('takes %s for 10', { driver: 'pg', options: ['max'] }, () => {
    expect((poolOf({ max: 0 }) as unknown as { options: { max: number } }).options.max).toBe(10)
  })
})

describe.each([
  { name: 'mysql2', module: mysql },
  { name: 'mysql2, the lowest', module: mysqlLow as unknown as typeof mysql },
])('$name', ({ module }) => {
  itTries('warns of %s', { driver: 'mysql2', fault: 'warned' }, (option) => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    ;(module.createPool as (options: mysql.PoolOptions) => unknown)({ [option]: 3 })
    expect(said.mock.calls.flat().join(' ')).toContain(
      `Ignoring invalid configuration option passed to Connection: ${option}.`,
    )
    said.mockRestore()
  })

  /** How many of a hundred callers are turned away while the server is silent. */
  async function turnedAway(options: object): Promise<number> {
    const pool = module.createPool({ host: '127.0.0.1', port: silent.port(), connectionLimit: 1, ...options })
    let count = 0
    const asked = Array.from({ length: 100 }, () =>
      new Promise<void>((resolve) => {
        pool.getConnection((error) => {
          if (/Queue limit reached/.test(error?.message ?? '')) count++
          resolve()
        })
      })) // prettier-ignore
    await delay(20)
    const turned = count
    // Each of them meets a server that hangs up, until nobody waits.
    const hangingUp = setInterval(() => { silent.hangUp() }, 1) // prettier-ignore
    await Promise.race([Promise.all(asked), delay(3_000)])
    clearInterval(hangingUp)
    await new Promise((resolve) => { pool.end(resolve) }) // prettier-ignore
    return turned
  }

  itTries('queues without end by %s', { driver: 'mysql2', options: ['queueLimit'] }, async () => {
    expect(await turnedAway({ queueLimit: 5 })).toBe(94)
    expect(await turnedAway({ queueLimit: 0 })).toBe(0)
  })
})

describe.each([
  { Client: MongoClient, version: versionOf('mongodb') },
  { Client: MongoClientLow as unknown as typeof MongoClient, version: versionOf('mongodb-low') },
])('mongodb $version', ({ Client, version }) => {
  const make = (option: string, value: unknown = option.startsWith('use') ? true : 5): MongoClient =>
    new Client('mongodb://127.0.0.1', { [option]: value })

  itTries('refuses %s', { driver: 'mongodb', fault: 'refused', version }, (option, { value }) => {
    expect(() => make(option, value)).toThrow(value === 0 ? /must be > 0|cannot be 0|> 0|Invalid/ : /not supported/)
    if (value !== undefined) expect(() => make(option, 1)).not.toThrow()
  })

  const without = (option: string): void => {
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    make(option)
    expect(said.mock.calls.flat().map(String).join(' ')).toContain(
      `${option} has no effect since Node.js Driver version 4.0.0`,
    )
    said.mockRestore()
  }
  // The lowest version has no effect of what the latest refuses.
  it.each(innocent('mongodb', 'refused', version))('takes %s, to no effect', without)
  for (const option of ['useNewUrlParser', 'useUnifiedTopology'])
    if (innocent('mongodb', 'refused', version).includes(option))
      itTries('takes %s, to no effect', { driver: 'mongodb', fault: 'ignored', options: [option], version }, without)

  itTries('does not apply %s', { driver: 'mongodb', options: ['timeoutMS'] }, async () => {
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const client = new Client(`mongodb://127.0.0.1:${silent.port()}`, {
      timeoutMS: 50,
      serverSelectionTimeoutMS: 1_000,
    })
    expect(await Promise.race([client.connect().then(() => '', () => 'gave up'), delay(400)])).toBe('nothing yet') // prettier-ignore
    await client.close()
    said.mockRestore()
  })
})

describe.each([
  { copy: mongoose, version: versionOf('mongoose') },
  { copy: mongooseLow, version: versionOf('mongoose-low') },
])('Mongoose $version', ({ copy, version }) => {
  const attempt = async (option: string): Promise<string> => {
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const connection = copy.createConnection('mongodb://127.0.0.1:1', {
      [option]: option === 'useNewUrlParser' || option === 'useUnifiedTopology' ? true : 5,
      serverSelectionTimeoutMS: 100,
    })
    const message = await connection.asPromise().then(() => 'connected', (error: Error) => error.message) // prettier-ignore
    await connection.destroy()
    const warned = said.mock.calls.flat().map(String).join(' ')
    said.mockRestore()
    return `${message} ${warned}`
  }

  itTries('refuses %s', { driver: 'mongoose', fault: 'refused', version }, async (option) => {
    expect(await attempt(option)).toContain('not supported')
  })

  const without = async (option: string): Promise<void> => {
    const outcome = await attempt(option)
    expect(outcome).toContain('ECONNREFUSED')
    expect(outcome).toContain(`${option} has no effect`)
  }
  itTries('takes %s, to no effect', { driver: 'mongoose', fault: 'ignored', version }, without)
  it.each(innocent('mongoose', 'refused', version))('takes %s, to no effect', without)
})

itLeavesNothingUntried('databases.test.ts')
