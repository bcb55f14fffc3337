// Warnings that take a server: `max` above what it has left, and the end of a process in the middle of a command.
import { execFile } from 'node:child_process'
import { MongoClient } from 'mongodb'
import mysql from 'mysql2'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startMariaDb, startMongoWire, startRedis, tryStart, waitFor } from '@millpond/rig'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { mysqlPool } from 'millpond/mysql'
import { program } from '../support/program.ts'
import { DRIVERS } from '../support/redis.ts'

const mariadb = await tryStart('MariaDB', () => startMariaDb({ settings: { max_connections: 12 } }))
const redis = await tryStart('Redis', () => startRedis({ settings: { maxclients: 12 } }))
const mongo = await startMongoWire({ maxConnections: 12 })
afterAll(async () => {
  await mariadb?.stop()
  await redis?.stop()
  await mongo.stop()
})

const warnings: (Error & { code?: string })[] = []
const listen = (warning: Error & { code?: string }): void => {
  if (warning.code === 'MILLPOND_MAX_ABOVE_SERVER') warnings.push(warning)
}
beforeEach(() => {
  vi.stubEnv('MILLPOND_PROFILE', 'production')
  warnings.length = 0
  process.on('warning', listen)
})
afterEach(() => {
  vi.unstubAllEnvs()
  process.off('warning', listen)
})

const told = async (): Promise<string> => {
  await waitFor(() => warnings.length > 0, { what: 'the warning' })
  return warnings[0]?.message ?? ''
}

describe.skipIf(mariadb === undefined)('`max` above what MariaDB has', () => {
  it('is warned of at the first connect, once, and what fits is not', async () => {
    const pool = mysqlPool(mysql, { ...mariadb?.config, name: 'my-large', max: 40 })
    const ask = (): Promise<unknown> => pool.promise().query('SELECT 1')
    await Promise.all([ask(), ask(), ask()])
    expect(await told()).toMatch(
      /^pool "my-large": `max` is 40, and the server has \d+ connections left of 12: .*`max_connections`/,
    )
    await pool.close()
    const fits = mysqlPool(mysql, { ...mariadb?.config, name: 'my-small', max: 3 })
    await fits.promise().query('SELECT 1')
    await fits.close()
    expect(warnings).toHaveLength(1)
  })
})

describe.skipIf(mariadb === undefined)('a process that exits while a connection of MariaDB', () => {
  const run = async (how: string): Promise<{ code: unknown; stderr: string }> => {
    const file = await program('exiting-mysql-program')
    return await new Promise((resolve) => {
      const env = { ...process.env, NODE_ENV: 'production', MILLPOND_PROFILE: '' }
      execFile(process.execPath, [file, JSON.stringify(mariadb?.config), how], { env }, (error, _, stderr) => {
        resolve({ code: error?.code, stderr })
      })
    })
  }

  it('is out is told so, and one whose connections are back is not', async () => {
    const [out, back] = await Promise.all([run('out'), run('back')])
    expect(out).toEqual({
      code: 3,
      stderr: expect.stringMatching(
        /\[MILLPOND_EXIT_WITH_LEASES\] MillpondWarning: pool "orders": the process exits while 1 lease is out/,
      ) as string,
    })
    expect(back).toEqual({ code: 3, stderr: '' })
  })
})

describe.skipIf(redis === undefined)('`max` above what Redis has', () => {
  it.each(DRIVERS)('is warned of with $name at the first exclusive connection', async (driver) => {
    const target = { port: redis?.port ?? 0, password: undefined }
    const pool = driver.pool(target, { poolName: `${driver.name}-large`, max: 40 })
    await pool.use((client) => driver.raw(client, 'PING'))
    expect(await told()).toMatch(
      /^pool ".*-large:exclusive": `max` is 40, and the server has \d+ connections left of 12: .*`maxclients`/,
    )
    await pool.close()
    const fits = driver.pool(target, { poolName: `${driver.name}-small`, max: 2 })
    expect(await fits.use((client) => driver.raw(client, 'PING'))).toBe('PONG')
    await fits.close()
    expect(warnings).toHaveLength(1)
  })
})

describe('MongoDB', () => {
  it('is warned of a `max` above what it has, and opens no connection for the question', async () => {
    const client = new MongoClient(mongo.uri(), mongoOptions({ max: 40 }))
    const view = observeMongo(client, { name: 'mongo-large', slowMillis: Infinity })
    await client.db('shop').command({ ping: 1 })
    expect(await told()).toMatch(/^pool "mongo-large": `max` is 40, and the server has \d+ connections left of 12: /)
    expect(view.stats().created).toBe(1)
    await view.close()
    const fits = new MongoClient(mongo.uri(), mongoOptions({ max: 2 }))
    const small = observeMongo(fits, { name: 'mongo-small', slowMillis: Infinity })
    await fits.db('shop').command({ ping: 1 })
    await waitFor(async () => ((await mongo.view()).commands['serverStatus'] ?? 0) >= 2, { what: 'the question' })
    await small.close()
    expect(warnings).toHaveLength(1)
  })

  it('is told of when the process exits in the middle of a command', async () => {
    await mongo.failCommand({
      mode: 'alwaysOn',
      data: { failCommands: ['find'], blockConnection: true, blockTimeMS: 5_000 },
    })
    const file = await program('exiting-mongo-program')
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      const env = { ...process.env, NODE_ENV: 'production', MILLPOND_PROFILE: '' }
      execFile(process.execPath, [file, mongo.uri()], { env }, (error, _, text) => {
        resolve({ code: error?.code, stderr: text })
      })
    })
    await mongo.failCommand({ mode: 'off' })
    expect(code).toBe(3)
    expect(stderr).toMatch(
      /\[MILLPOND_EXIT_WITH_LEASES\] MillpondWarning: pool "orders": the process exits while 1 lease is out/,
    )
  })
})
