import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { createRequire } from 'node:module'
import mongooseLatest from 'mongoose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startMongoWire, waitFor, type MongoWireServer } from '@millpond/rig'
import { PoolRegistry, type SlowOperation } from 'millpond'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { clientOn, closeClients, DRIVERS, expectTruth, SECRET, sleepOn, USERS } from '../support/mongo.ts'

let server: MongoWireServer
beforeAll(async () => {
  server = await startMongoWire({ users: USERS, replicaSet: 'rig' })
})
afterAll(async () => {
  await server.stop()
})
afterEach(async () => {
  await closeClients()
})

describe.each(DRIVERS)('the %s driver', (_, Client) => {
  it('is asked for its health without a place in the queue', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 1 }, { Client })
    expect(await view.health()).toMatchObject({ status: 'pass', pool: 'mongodb', kind: 'mongodb' })
    const running = sleepOn(client, 400)
    await waitFor(() => view.stats().used === 1, { what: 'it is in use' })
    expect(await view.health()).toMatchObject({ status: 'warn', message: 'Pool is saturated' })
    expect(view.stats().waiting).toBe(0)
    await running
    expect((await view.health()).status).toBe('pass')
    await server.stepDown()
    await waitFor(async () => (await view.health()).status === 'warn', { what: 'it is heard that there is no primary' })
    await server.stepUp()
    await waitFor(async () => (await view.health()).status === 'pass', { what: 'it is heard that there is one' })
  })

  it('reports sessions, cursors and change streams that were left open, and where they were begun', async () => {
    const { client, view } = clientOn(server, {}, { Client, view: { leakThresholdMillis: 100 } })
    const leaks: { label: string | undefined; stack: string | undefined }[] = []
    const returned: unknown[] = []
    view.on('leak', ({ label, stack }) => leaks.push({ label, stack }))
    view.on('leakReturned', ({ label }) => returned.push(label))
    const books = client.db('shop').collection('books')
    await books.deleteMany({})
    await books.insertMany(Array.from({ length: 10 }, (_, index) => ({ index })))
    const session = client.startSession()
    const cursor = books.find().batchSize(2)
    await cursor.next()
    const stream = books.watch()
    await stream.tryNext()
    await waitFor(() => leaks.length === 3, { what: 'all are reported' })
    expect(leaks.map(({ label }) => label).sort()).toEqual(['change stream shop.books', 'cursor shop.books', 'session'])
    expect(leaks.every(({ stack }) => stack !== undefined)).toBe(true)
    expect(leaks.find(({ label }) => label === 'session')?.stack).toContain('mongodb-view.test')
    expect(view.stats().leaks).toBe(3)
    await Promise.all([session.endSession(), cursor.close(), stream.close()])
    expect(returned.length).toBe(3)
    expect(view.stats().used).toBe(0)
  })

  it('does not report a stream that is read, nor what was ended in time', async () => {
    const { client, view } = clientOn(server, {}, { Client, view: { leakThresholdMillis: 1_000 } })
    const leaks: unknown[] = []
    view.on('leak', (leak) => leaks.push(leak))
    const stream = client.db('shop').collection('news').watch([], { maxAwaitTimeMS: 100 })
    const reading = (async () => {
      for (let round = 0; round < 15; round++) await stream.tryNext()
    })()
    await client.withSession(async (session) => {
      await client.db('shop').collection('books').findOne({}, { session })
    })
    await reading
    expect(leaks).toEqual([])
    await stream.close()
  })

  it('closes in order: what runs may end, what is new may not begin, the report says what was open', async () => {
    const { client, view } = clientOn(server, {}, { Client })
    const books = client.db('shop').collection('books')
    await books.insertMany([{ n: 1 }, { n: 2 }, { n: 3 }])
    const forgotten = books.find().batchSize(1)
    await forgotten.next()
    const session = client.startSession()
    session.startTransaction()
    await books.insertOne({ n: 4 }, { session })
    const running = sleepOn(client, 200)
    await waitFor(() => view.stats().used === 1, { what: 'it runs' })
    const closing = view.close()
    await Promise.resolve()
    await expect(books.findOne()).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    await running
    await books.insertOne({ n: 5 }, { session })
    await session.commitTransaction()
    const report = await closing
    expect(report).toMatchObject({ pool: 'mongodb', forced: 0, rejected: 0, pendingCreates: 0 })
    expect(report.closed).toBeGreaterThanOrEqual(1)
    expect(report.holders.map(({ label }) => label).sort()).toEqual(['cursor shop.books', 'session'])
    expect(view.stats()).toMatchObject({ total: 0, state: 'closed' })
    await waitFor(async () => (await server.view()).authenticated === 0, { what: 'the server has none left' })
    // Nothing is left on the client that was wrapped.
    expect(Object.hasOwn(client, 'startSession')).toBe(false)
    expect(client.listenerCount('connectionCheckedOut')).toBe(0)
  })

  it('closes when its time is over, and says who held on', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 1 }, { Client })
    const running = sleepOn(client, 3_000).catch((error: Error) => error.name)
    await waitFor(() => view.stats().used === 1, { what: 'it runs' })
    const waiting = sleepOn(client, 1).catch((error: unknown) => error)
    await waitFor(() => view.stats().waiting === 1, { what: 'one waits' })
    const report = await view.close({ timeoutMillis: 50, waiters: 'reject' })
    expect(report).toMatchObject({ forced: 1, rejected: 1 })
    expect(report.holders.map(({ label }) => label)).toEqual([`connection to ${server.address}`])
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await running).not.toBeUndefined()
    expect(view.stats()).toMatchObject({ total: 0, waiting: 0, used: 0 })
    expect(view.stats().refused).toBeGreaterThanOrEqual(1)
  })

  it('is told that its owner has closed it', async () => {
    const { client, view } = clientOn(server, {}, { Client })
    const registry = new PoolRegistry()
    registry.register(view)
    await sleepOn(client, 1)
    await client.close()
    expect(view.state).toBe('closed')
    expect(registry.get('mongodb')).toBeUndefined()
    expect(await view.close()).toMatchObject({ closed: 1, forced: 0 })
    expect(observeMongo(client)).not.toBe(view)
  })

  it('announces slow commands without their values, with the time they waited for a connection', async () => {
    const { client, view } = clientOn(
      server,
      { monitorCommands: true, maxPoolSize: 1 },
      { Client, view: { slowMillis: 80 } },
    )
    const slow: SlowOperation[] = []
    const books = client.db('shop').collection('books')
    await books.findOne({ title: SECRET })
    view.on('slow', (each) => slow.push(each))
    await Promise.all([sleepOn(client, 150), books.findOne({ title: SECRET, stock: { $gt: 1 } }, { sort: { n: 1 } })])
    await waitFor(() => slow.length === 2, { what: 'both are told' })
    expect(slow[0]).toMatchObject({ pool: 'mongodb', operation: 'sleep admin { millis: ? }', failed: false })
    expect(slow[0]?.useMillis).toBeGreaterThanOrEqual(80)
    expect(slow[1]?.operation).toContain('find shop.books { filter: { title: ?, stock: { $gt: ? } }, sort: { n: ? }')
    expect(slow[1]?.waitMillis).toBeGreaterThanOrEqual(50)
    expect(inspect(slow)).not.toContain(SECRET)
    const stream = books.watch([], { maxAwaitTimeMS: 150 })
    await stream.tryNext()
    await stream.tryNext()
    expect(slow.filter(({ operation }) => operation.startsWith('getMore'))).toEqual([])
    await stream.close()
  })

  it('keeps the async context of its callers', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 1 }, { Client, view: { leakThresholdMillis: 1_000 } })
    const context = new AsyncLocalStorage<number>()
    await client.connect()
    const seen = await Promise.all(
      [1, 2, 3, 4].map((number) =>
        context.run(number, async () => {
          await sleepOn(client, 5)
          await client.db('shop').collection('books').find().limit(1).toArray()
          return context.getStore()
        }),
      ),
    )
    expect(seen).toEqual([1, 2, 3, 4])
    expectTruth(view, client)
  })
})

it('slow commands cannot be had from a client that does not tell of commands', () => {
  expect(() => clientOn(server, {}, { view: { slowMillis: 5 } })).toThrow(/monitorCommands: true/)
  expect(() => clientOn(server, {}, { view: { leakTresholdMillis: 5 } as never })).toThrow(/leakThresholdMillis/)
})

describe.each([
  ['latest', mongooseLatest],
  // Its types are those of a global module of the name 'mongoose'.
  ['lowest', createRequire(import.meta.url)('mongoose-low') as typeof mongooseLatest],
] as const)('the %s mongoose', (_, mongoose) => {
  it('is observed from the beginning, by itself and by its connection, and closed', async () => {
    expect(() => observeMongo(new mongoose.Mongoose())).toThrow(/never opened: call mongoose.connect/)
    const own = new mongoose.Mongoose()
    const connecting = own.connect(server.uri(), mongoOptions({ max: 4, min: 1, serverSelectionTimeoutMS: 5_000 }))
    const view = observeMongo(own)
    await connecting
    expect(observeMongo(own.connection)).toBe(view)
    expect(observeMongo(own.connection.useDb('other'))).toBe(view)
    const Person = own.model('Person', new own.Schema({ name: String }))
    await Promise.all(Array.from({ length: 6 }, (_, index) => Person.create({ name: `p${index}` })))
    expect(view.stats()).toMatchObject({ max: 4, min: 1, used: 0 })
    expect(view.stats().acquired).toBeGreaterThanOrEqual(6)
    const report = await view.close()
    expect(report.forced).toBe(0)
    expect(own.connection.readyState).toBe(0)
  })
})
