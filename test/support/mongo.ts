import * as latest from 'mongodb'
import * as lowest from 'mongodb-low'
import type { MongoClient, MongoClientOptions } from 'mongodb'
import { expect } from 'vitest'
import type { MongoWireServer } from '@millpond/rig'
import type { PoolStats } from 'millpond'
import { observeMongo, type MongoView, type MongoViewOptions } from 'millpond/mongodb'

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
  readonly totalConnectionCount: number
  readonly availableConnectionCount: number
  readonly pendingConnectionCount: number
  readonly currentCheckedOutCount: number
}

/** What the driver itself would say, if it could be asked. */
export function driverCounts(client: MongoClient) {
  const { topology } = client as unknown as { topology?: { s: { servers: Map<string, { pool: DriverPool }> } } }
  const counts = { idle: 0, used: 0, creating: 0, total: 0 }
  for (const { pool } of topology?.s.servers.values() ?? []) {
    counts.idle += pool.availableConnectionCount
    counts.used += pool.currentCheckedOutCount
    counts.creating += pool.pendingConnectionCount
    counts.total += pool.availableConnectionCount + pool.currentCheckedOutCount
  }
  return counts
}

export function expectIdentities(stats: PoolStats): void {
  const { requested, acquired, timedOut, aborted, refused, failed, waiting, created, total, destroyed } = stats
  expect(requested).toBe(acquired + timedOut + aborted + refused + failed + waiting)
  expect(created).toBe(total + Object.values(destroyed).reduce((sum, count) => sum + count, 0))
}

/** The view, the driver and the arithmetic agree. */
export function expectTruth(view: MongoView, client: MongoClient): PoolStats {
  const stats = view.stats()
  const { idle, used, creating, total } = stats
  expect({ idle, used, creating, total }).toEqual(driverCounts(client))
  expectIdentities(stats)
  return stats
}

/** Has the server do nothing for that long, on a connection. */
export function sleepOn(client: MongoClient, millis: number, options: object = {}): Promise<unknown> {
  return client.db('admin').command({ sleep: 1, millis }, options)
}
