import * as latest from 'mongodb'
import * as lowest from 'mongodb-low'
import type { MongoClient, MongoClientOptions } from 'mongodb'
import { expect } from 'vitest'
import type { MongoWireServer } from '@millpond/rig'
import type { PoolStats } from 'millpond'
import { observeMongo, type MongoView, type MongoViewOptions } from 'millpond/mongodb'
import { expectIdentities } from './identities.ts'
import { watchFrom, type Watch } from './watch-from.ts'

/** The lowest and the latest driver that are supported. */
export const DRIVERS = [
  ['latest', latest.MongoClient],
  ['lowest', lowest.MongoClient as unknown as typeof MongoClient],
] as const

/** Their password must never be seen. */
export const USERS = { ada: 'the-password-of-ada' }
export const SECRET = USERS.ada

const open: { close(): Promise<unknown> }[] = []

/** A client that {@link closeClients} closes, with a view on it from the beginning. */
export function clientOn(
  server: Pick<MongoWireServer, 'uri'>,
  options: MongoClientOptions = {},
  {
    view: viewOptions = {},
    Client = latest.MongoClient,
  }: { view?: MongoViewOptions; Client?: typeof MongoClient } = {},
): { client: MongoClient; view: MongoView } {
  const client = new Client(server.uri(), {
    heartbeatFrequencyMS: 500,
    serverSelectionTimeoutMS: 5_000,
    ...options,
  })
  open.push(client)
  return { client, view: observeMongo(client, viewOptions) }
}

export async function closeClients(): Promise<void> {
  await Promise.all(open.splice(0).map((client) => client.close().catch(() => undefined)))
}

interface DriverPool {
  readonly waitQueueSize: number
  readonly totalConnectionCount: number
  readonly availableConnectionCount: number
  readonly pendingConnectionCount: number
  readonly currentCheckedOutCount: number
}

function driverPools(client: MongoClient): DriverPool[] {
  const { topology } = client as unknown as { topology?: { s: { servers: Map<string, { pool: DriverPool }> } } }
  return [...(topology?.s.servers.values() ?? [])].map(({ pool }) => pool)
}

/** What the driver itself would say, if it could be asked. */
export function driverCounts(client: MongoClient) {
  const counts = { idle: 0, used: 0, creating: 0, total: 0 }
  for (const pool of driverPools(client)) {
    counts.idle += pool.availableConnectionCount
    counts.used += pool.currentCheckedOutCount
    counts.creating += pool.pendingConnectionCount
    counts.total += pool.availableConnectionCount + pool.currentCheckedOutCount
  }
  return counts
}

function countsOf(view: MongoView): ReturnType<typeof driverCounts> {
  const { idle, used, creating, total } = view.stats()
  return { idle, used, creating, total }
}

/** The view, the driver and the arithmetic agree. */
export function expectTruth(view: MongoView, client: MongoClient): PoolStats {
  expect(countsOf(view)).toEqual(driverCounts(client))
  const stats = view.stats()
  expectIdentities(stats)
  return stats
}

/** How many wait for a connection, as the driver has it; nothing may be opened to fill `minPoolSize` meanwhile. */
export function driverWaiting(client: MongoClient): number {
  return driverPools(client).reduce((sum, pool) => sum + pool.waitQueueSize + pool.pendingConnectionCount, 0)
}

const EVENTS = [
  'created',
  'createFailed',
  'acquireStarted',
  'acquireFailed',
  'acquired',
  'released',
  'destroyed',
] as const

/**
 * Compares the view with the driver at every event, and once more when the driver has ended the step that it told of.
 *
 * @param clears - whether connections are thrown away meanwhile: then the driver's own counts do not add up in between
 */
export function watchTruth(view: MongoView, client: MongoClient, { clears = false } = {}): Watch {
  const watch = watchFrom(view, EVENTS, (event) => {
    queueMicrotask(() => watch.look(`after '${event}'`, () => void expectTruth(view, client)))
    expectIdentities(view.stats())
    if (clears || event === 'destroyed') return
    // The driver moves a connection from those being opened to those that are open around this event.
    const moved = event === 'created' ? 1 : 0
    const { idle, used, creating, total } = driverCounts(client)
    expect(countsOf(view)).toEqual({ idle: idle + moved, used, creating: creating - moved, total: total + moved })
  })
  return watch
}

/** Has the server do nothing for that long, on a connection. */
export function sleepOn(client: MongoClient, millis: number, options: object = {}): Promise<unknown> {
  return client.db('admin').command({ sleep: 1, millis }, options)
}
