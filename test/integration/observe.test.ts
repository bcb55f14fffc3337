import { tracingChannel } from 'node:diagnostics_channel'
import http from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { MongoClient } from 'mongodb'
import type mysqlCallbacks from 'mysql2'
import callbacksLowest from 'mysql2-low'
import mysqlLowest from 'mysql2-low/promise'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { Pool } from 'millpond'
import { observeMongo } from 'millpond/mongodb'
import { observe } from 'millpond/observe'
import { pgPool } from 'millpond/pg'
import { FakeFactory } from 'millpond/testing'
import { describeMysql, startServer as startMysql } from '../support/mysql.ts'
import {
  genericSubject,
  knexSubject,
  mysqlCallbackSubject,
  mysqlSubject,
  pgSubject,
  tarnSubject,
} from '../support/observe.ts'
import { isSeenAsOurs } from '../support/observed.ts'
import { describePostgres, startServer as startPostgres } from '../support/pg.ts'

/** It has no types of its own. */
const pgLowest = createRequire(import.meta.url)('pg-lowest') as typeof pg

describePostgres('on PostgreSQL', () => {
  let rig: Awaited<ReturnType<typeof startPostgres>>
  beforeAll(async () => {
    rig = await startPostgres()
  })
  afterAll(async () => {
    await rig.stop()
  })
  const ofPg = { hasTimeout: true, waitsInSight: true, hasCallbacks: true }
  isSeenAsOurs('pg.Pool', (options) => pgSubject(rig.server.config, options), ofPg)
  isSeenAsOurs('pg.Pool of the lowest pg', (options) => pgSubject(rig.server.config, options, pgLowest), ofPg)
  isSeenAsOurs('tarn', (options) => tarnSubject(rig.server.config, options), { hasTimeout: true, waitsInSight: true })
  isSeenAsOurs('knex', (options) => knexSubject(rig.server.config, options), { hasTimeout: true, waitsInSight: true })
  isSeenAsOurs('generic-pool', (options) => genericSubject(rig.server.config, options), {
    hasTimeout: true,
    waitsInSight: false,
  })

  it('gives a Millpond pool back as it is', async () => {
    const own = pgPool(pg, rig.server.config)
    expect(observe(own)).toBe(own)
    const engine = new Pool(new FakeFactory())
    expect(observe(engine)).toBe(engine)
    await Promise.all([own.close(), engine.close()])
  })
})

describeMysql('on MariaDB', () => {
  let rig: Awaited<ReturnType<typeof startMysql>>
  beforeAll(async () => {
    rig = await startMysql()
  })
  afterAll(async () => {
    await rig.stop()
  })
  const ofPromises = { hasTimeout: false, waitsInSight: true }
  const ofCallbacks = { ...ofPromises, hasCallbacks: true }
  isSeenAsOurs('mysql2/promise', (options) => mysqlSubject(rig.server.config, options), ofPromises)
  isSeenAsOurs(
    'mysql2/promise of the lowest mysql2',
    (options) => mysqlSubject(rig.server.config, options, mysqlLowest as unknown as typeof mysql),
    ofPromises,
  )
  isSeenAsOurs('mysql2', (options) => mysqlCallbackSubject(rig.server.config, options), ofCallbacks)
  isSeenAsOurs(
    'the lowest mysql2',
    (options) => mysqlCallbackSubject(rig.server.config, options, callbacksLowest as unknown as typeof mysqlCallbacks),
    ofCallbacks,
  )

  /** A pool, a view on it, and how many connections it has. */
  const observed = (options: mysql.PoolOptions) => {
    const pool = mysql.createPool({ ...rig.server.config, ...options })
    const { _allConnections: all } = pool.pool as unknown as { readonly _allConnections: { readonly length: number } }
    return { pool, view: observe(pool), count: () => all.length }
  }

  it('a connection is in use while it is reset, and gone when that fails', async () => {
    const { pool, view, count } = observed({ connectionLimit: 3, resetOnRelease: true })
    const borrowed = await Promise.all([1, 2, 3].map(() => pool.getConnection()))
    expect(view.stats()).toMatchObject({ used: 3, total: 3 })
    const [lost, ...others] = borrowed as [mysql.PoolConnection, ...mysql.PoolConnection[]]
    ;(lost.connection as unknown as { stream: Socket }).stream.destroy()
    for (const connection of [lost, ...others]) connection.release()
    expect(view.stats()).toMatchObject({ used: 3, idle: 0 })
    await waitFor(() => view.stats().used === 0, { what: 'all are reset' })
    expect(view.stats()).toMatchObject({ total: 2, idle: 2, destroyed: { reset: 1 } })
    expect(count()).toBe(2)
    await Promise.all([1, 2, 3, 4].map(() => pool.query('SELECT 1')))
    await waitFor(() => view.stats().used === 0, { what: 'all are reset' })
    expect(view.stats()).toMatchObject({ total: count(), acquired: 7, waiting: 0 })
    await view.close()
  })

  it('whoever is asked for anew by the pool itself is counted once, also while somebody traces it', async () => {
    const channels = tracingChannel('mysql2:pool:connect')
    const nothing = (): void => undefined
    const tracer = { start: nothing, end: nothing, asyncStart: nothing, asyncEnd: nothing, error: nothing }
    channels.subscribe(tracer)
    const { pool, view } = observed({ connectionLimit: 1 })
    const first = await pool.getConnection()
    const waiting = [pool.query('SELECT 1'), pool.query('SELECT 1')]
    first.destroy()
    await Promise.all(waiting)
    expect(view.stats()).toMatchObject({ requested: 3, acquired: 3, waiting: 0, created: 2, total: 1 })
    channels.unsubscribe(tracer)
    await view.close()
  })
})

it('a MongoClient is observed by its own adapter', async () => {
  const client = new MongoClient('mongodb://127.0.0.1:1/')
  const view = observe(client, { name: 'events' })
  expect(view.kind).toBe('mongodb')
  expect(observeMongo(client)).toBe(view)
  await view.close()
})

it('what is no pool is refused, and says what is wanted', () => {
  expect(() => observe({})).toThrow(/Expected pg\.Pool.*got an object of Object/)
  expect(() => observe(http)).toThrow(/ERR_POOL_OPTION|Expected pg\.Pool/)
  expect(() => observe(new pg.Pool(), { naem: 'x' } as never)).toThrow(/did you mean `name`/)
})
