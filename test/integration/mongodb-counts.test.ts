import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { startMongoWireSet, waitFor, type MongoWireServer } from '@millpond/rig'
import { observeMongo } from 'millpond/mongodb'
import { expectIdentities } from '../support/identities.ts'
import {
  clientOn,
  closeClients,
  driverCounts,
  DRIVERS,
  driverWaiting,
  expectTruth,
  sleepOn,
  USERS,
  watchTruth,
} from '../support/mongo.ts'
import { startMongoTargets } from '../support/mongo-targets.ts'

const targets = await startMongoTargets()
const server = targets.all[0]?.wire as MongoWireServer
afterAll(async () => {
  await targets.stop()
})
afterEach(async () => {
  await closeClients()
})

describe.each(targets.cases)('the counts of the $driver driver on $target.name', ({ target, Client }) => {
  it('are those of the driver at every event under contention, for those who wait too', async () => {
    const { client, view } = clientOn(target, { maxPoolSize: 3 }, { Client })
    const watch = watchTruth(view, client)
    const waiting: [ours: number, drivers: number][] = []
    view.on('acquireStarted', () => {
      // The driver enters it into its queue after this event.
      queueMicrotask(() => waiting.push([view.stats().waiting, driverWaiting(client)]))
    })
    const books = client.db('millpond_test').collection('books')
    await Promise.all(
      Array.from({ length: 24 }, async (_each, number) => {
        await (target.wire === undefined ? books.insertOne({ number }) : sleepOn(client, 5))
        expectTruth(view, client)
      }),
    )
    const stats = expectTruth(view, client)
    expect(stats).toMatchObject({ used: 0, waiting: 0, kind: 'mongodb' })
    expect(stats.acquired).toBeGreaterThanOrEqual(24)
    expect(stats.acquiredAfterWait).toBeGreaterThanOrEqual(1)
    expect(stats.use.count).toBe(stats.acquired)
    expect(watch.failures).toEqual([])
    expect(watch.looks).toBeGreaterThan(100)
    expect(waiting.map(([ours]) => ours)).toEqual(waiting.map(([, drivers]) => drivers))
    expect(Math.max(...waiting.map(([ours]) => ours))).toBeGreaterThan(3)
    if (target.wire === undefined) return
    expect(stats).toMatchObject({ created: 3, acquired: 24, max: 3 })
    expect(stats.acquiredAfterWait).toBeGreaterThanOrEqual(21)
    expect(stats.use.max).toBeGreaterThanOrEqual(4)
    expect((await target.wire.view()).authenticated).toBe(3)
  })
})

describe.each(DRIVERS)('the counts of the %s driver', (_, Client) => {
  it('are right while operations wait, and for those who run out of time', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 2, waitQueueTimeoutMS: 500 }, { Client })
    await client.connect()
    const running = [1, 2].map(() => sleepOn(client, 2_000))
    await waitFor(() => view.stats().used === 2, { what: 'both are in use' })
    const waiting = [1, 2, 3].map(() => sleepOn(client, 1).catch((error: Error) => error.name))
    await waitFor(() => view.stats().waiting === 3, { what: 'three wait' })
    await waitFor(() => expectTruth(view, client).oldestWaiterMillis > 0, { what: 'it is seen how long they wait' })
    expect(await Promise.all(waiting)).toEqual(Array(3).fill('MongoWaitQueueTimeoutError'))
    expect(expectTruth(view, client)).toMatchObject({ waiting: 0, timedOut: 3 })
    await Promise.all(running)
  })

  it('are right for a listener who comes late, in the middle of the work', async () => {
    const client = new Client(server.uri(), { maxPoolSize: 2 })
    await sleepOn(client, 1)
    const running = [1, 2].map(() => sleepOn(client, 300))
    await waitFor(async () => (await server.view()).active === 2, { what: 'both run' })
    const waiting = [1, 2, 3].map(() => sleepOn(client, 1))
    await new Promise((resolve) => setImmediate(resolve))
    const view = observeMongo(client)
    expect(expectTruth(view, client)).toMatchObject({ used: 2, waiting: 3, created: 2 })
    await Promise.all([...running, ...waiting])
    expect(expectTruth(view, client)).toMatchObject({ used: 0, waiting: 0, idle: 2, created: 2 })
    expect(observeMongo(client)).toBe(view)
    await view.close()
    expectIdentities(view.stats())
  })

  it('are right for a listener who comes while connections are being opened', async () => {
    const client = new Client(server.uri(), { maxPoolSize: 4 })
    await client.connect()
    // Logins take long from now on.
    await server.failCommand({
      mode: 'alwaysOn',
      data: { failCommands: ['saslStart'], blockConnection: true, blockTimeMS: 200 },
    })
    const running = Array.from({ length: 6 }, () => sleepOn(client, 20))
    await waitFor(() => driverCounts(client).creating > 0, { what: 'connections are being opened' })
    const view = observeMongo(client)
    const watch = watchTruth(view, client)
    const { creating, waiting } = expectTruth(view, client)
    expect(creating).toBeGreaterThan(0)
    expect(waiting).toBe(driverWaiting(client))
    expect(waiting).toBeGreaterThanOrEqual(creating)
    await Promise.all(running)
    await server.failCommand({ mode: 'off' })
    await waitFor(() => view.stats().creating === 0, { what: 'nothing is being opened any more' })
    expect(expectTruth(view, client)).toMatchObject({ used: 0, waiting: 0, creating: 0 })
    expect(watch.failures).toEqual([])
    await view.close()
  })

  it('are right after the pool was cleared, with connections open, in use and being opened', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 4, maxConnecting: 4, retryReads: false }, { Client })
    await Promise.all([sleepOn(client, 50), sleepOn(client, 50)])
    // Logins take long from now on, so that the pool is cleared in their midst.
    await server.failCommand({
      mode: 'alwaysOn',
      data: { failCommands: ['saslStart'], blockConnection: true, blockTimeMS: 200 },
    })
    const watch = watchTruth(view, client, { clears: true })
    const running = Array.from({ length: 4 }, () => sleepOn(client, 100).catch(() => undefined))
    await waitFor(() => view.stats().creating > 0, { what: 'connections are being opened' })
    await server.failCommand({ mode: { times: 1 }, data: { failCommands: ['find'], closeConnection: true } })
    await client
      .db()
      .collection('books')
      .findOne()
      .catch(() => undefined)
    expect(view.stats().generation).toBeGreaterThan(0)
    expectIdentities(view.stats())
    await Promise.all(running)
    await waitFor(() => view.stats().creating === 0, { what: 'nothing is being opened' })
    await sleepOn(client, 1)
    expect(expectTruth(view, client)).toMatchObject({ used: 0, waiting: 0, creating: 0 })
    expect(watch.failures).toEqual([])
    await server.failCommand({ mode: 'off' })
    await waitFor(async () => (await server.view()).authenticated === view.stats().total, { what: 'the server agrees' })
  })

  it('are right for each of several servers', async () => {
    const members = await startMongoWireSet(2, { users: USERS })
    const [first] = members
    const { client, view } = clientOn(first ?? server, { maxPoolSize: 2, localThresholdMS: 1_000 }, { Client })
    await client.connect()
    const watch = watchTruth(view, client)
    const { acquired } = view.stats() // the driver itself has asked once, whether the login works
    await Promise.all([
      ...Array.from({ length: 6 }, () => sleepOn(client, 20)),
      ...Array.from({ length: 12 }, () => sleepOn(client, 20, { readPreference: 'secondary' })),
    ])
    const stats = expectTruth(view, client)
    expect(watch.failures).toEqual([])
    expect(stats.max).toBe(4)
    expect(stats.acquired - acquired).toBe(18)
    const servers = view.servers()
    expect(servers.map(({ address }) => address).sort()).toEqual(members.map(({ address }) => address).sort())
    expect(servers.reduce((sum, { total }) => sum + total, 0)).toBe(stats.total)
    for (const member of members) {
      const own = servers.find(({ address }) => address === member.address)
      expect((await member.view()).authenticated).toBe(own?.total)
    }
    await view.close()
    await Promise.all(members.map((member) => member.stop()))
  }, 60_000)

  it('keep connections to fill `minPoolSize` apart from those that somebody waits for', async () => {
    const { client, view } = clientOn(server, { minPoolSize: 3, maxPoolSize: 5 }, { Client })
    await client.connect()
    await waitFor(() => view.stats().idle === 3, { what: 'it is filled' })
    expect(expectTruth(view, client)).toMatchObject({ min: 3, max: 5, waiting: 0 })
    expect((await server.view()).authenticated).toBe(3)
  })
})

it('a checkout that is aborted no longer waits, and is counted as aborted', async () => {
  const { client, view } = clientOn(server, { maxPoolSize: 1 })
  await client.connect()
  const running = sleepOn(client, 300)
  await waitFor(() => view.stats().used === 1, { what: 'it is in use' })
  const controller = new AbortController()
  const { signal } = controller
  const aborted = client
    .db()
    .collection('books')
    .find({}, { signal })
    .toArray()
    .catch((error: unknown) => error)
  await waitFor(() => view.stats().waiting === 1, { what: 'one waits' })
  const reason = new Error('gone')
  controller.abort(reason)
  expect(await aborted).toBe(reason)
  expect(expectTruth(view, client)).toMatchObject({ waiting: 0, aborted: 1, used: 1 })
  await running
  await sleepOn(client, 1)
  expect(expectTruth(view, client)).toMatchObject({ waiting: 0, aborted: 1, used: 0, total: 1 })
})

it('an unlimited pool has no maximum', async () => {
  const { client, view } = clientOn(server, { maxPoolSize: 0 })
  expect(view.stats().max).toBe(Infinity)
  await sleepOn(client, 1)
  expect(view.stats()).toMatchObject({ max: Infinity, utilization: 0, idle: 1 })
})
