import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { createRequire } from 'node:module'
import mongooseLatest from 'mongoose'
import type { ClientSession } from 'mongodb'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { PoolRegistry, type SlowOperation } from 'millpond'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { clientOn, closeClients, expectTruth, SECRET } from '../support/mongo.ts'
import { startMongoTargets } from '../support/mongo-targets.ts'
import { Desk } from '../support/steering.ts'

const targets = await startMongoTargets({ replicaSet: 'rig' })
afterAll(async () => {
  await targets.stop()
})
afterEach(async () => {
  await closeClients()
})

/** A database of the tests' own, on whichever server. */
const DB = 'millpond_test'

describe.each(targets.cases)('the $driver driver on $target.name', ({ target, Client }) => {
  const { wire, busy } = target

  it('is asked for its health without a place in the queue', async () => {
    const { client, view } = clientOn(target, { maxPoolSize: 1 }, { Client })
    expect(await view.health()).toMatchObject({ status: 'pass', pool: 'mongodb', kind: 'mongodb' })
    const running = busy(client, 400)
    await waitFor(() => view.stats().used === 1, { what: 'it is in use' })
    expect(await view.health()).toMatchObject({ status: 'warn', message: 'Pool is saturated' })
    expect(view.stats().waiting).toBe(0)
    await running
    expect((await view.health()).status).toBe('pass')
  })

  it.skipIf(wire === undefined)('is not quite healthy while there is no primary', async () => {
    const { view } = clientOn(target, {}, { Client })
    expect((await view.health()).status).toBe('pass')
    await wire?.stepDown()
    await waitFor(async () => (await view.health()).status === 'warn', { what: 'it is heard that there is no primary' })
    await wire?.stepUp()
    await waitFor(async () => (await view.health()).status === 'pass', { what: 'it is heard that there is one' })
  })

  it('is steered by its own driver alone', async () => {
    const { view } = clientOn(target, {}, { Client })
    using desk = new Desk(view)
    expect((await desk.see()).actions).toEqual([])
    await expect(desk.act('suspend')).rejects.toThrow('This pool cannot suspend.')
  })

  it('reports sessions, cursors and change streams that were left open, and where they were begun', async () => {
    const { client, view } = clientOn(target, {}, { Client, view: { leakThresholdMillis: 100 } })
    const leaks: { label: string | undefined; stack: string | undefined }[] = []
    const returned: unknown[] = []
    view.on('leak', ({ label, stack }) => leaks.push({ label, stack }))
    view.on('leakReturned', ({ label }) => returned.push(label))
    const books = client.db(DB).collection('books')
    await books.deleteMany({})
    await books.insertMany(Array.from({ length: 10 }, (_, index) => ({ index })))
    const session = client.startSession()
    const cursor = books.find().batchSize(2)
    await cursor.next()
    const stream = target.hasChangeStreams ? books.watch() : undefined
    await stream?.tryNext()
    const labels = [...(stream === undefined ? [] : [`change stream ${DB}.books`]), `cursor ${DB}.books`, 'session']
    await waitFor(() => leaks.length === labels.length, { what: 'all are reported' })
    expect(leaks.map(({ label }) => label).sort()).toEqual(labels)
    expect(leaks.every(({ stack }) => stack !== undefined)).toBe(true)
    expect(leaks.find(({ label }) => label === 'session')?.stack).toContain('mongodb-view.test')
    expect(view.stats().leaks).toBe(labels.length)
    await Promise.all([session.endSession(), cursor.close(), stream?.close()])
    expect(returned.length).toBe(labels.length)
    expect(view.stats().used).toBe(0)
  })

  it.skipIf(!target.hasChangeStreams)('does not report a change stream that is read', async () => {
    const { client, view } = clientOn(target, {}, { Client, view: { leakThresholdMillis: 400 } })
    const leaks: unknown[] = []
    view.on('leak', (leak) => leaks.push(leak))
    const stream = client.db(DB).collection('news').watch([], { maxAwaitTimeMS: 100 })
    for (let round = 0; round < 7; round++) await stream.tryNext()
    expect(leaks).toEqual([])
    await stream.close()
  })

  it('does not report what was ended in time, however much was read', async () => {
    const { client, view } = clientOn(target, {}, { Client, view: { leakThresholdMillis: 400 } })
    const leaks: (string | undefined)[] = []
    view.on('leak', ({ label }) => leaks.push(label))
    const books = client.db(DB).collection<{ _id: number }>('read')
    await books.deleteMany({})
    await books.insertMany(Array.from({ length: 30 }, (_each, _id) => ({ _id })))
    await client.withSession(async (session) => {
      const read = await books.find({}, { session }).sort({ _id: 1 }).batchSize(5).toArray()
      expect(read.map(({ _id }) => _id)).toEqual(Array.from({ length: 30 }, (_each, _id) => _id))
    })
    // Whoever is reported now began later than all of these.
    const late = client.startSession()
    await waitFor(() => leaks.length > 0, { what: 'the one that is still open is reported' })
    expect(leaks).toEqual(['session'])
    await late.endSession()
    expectTruth(view, client)
  })

  it.skipIf(!target.hasTransactions)(
    'closes in order: what runs may end, what is new may not begin, the report says what was open',
    async () => {
      const { client, view } = clientOn(target, {}, { Client })
      const books = client.db(DB).collection('books')
      await books.deleteMany({})
      await books.insertMany([{ n: 1 }, { n: 2 }, { n: 3 }])
      const forgotten = books.find().batchSize(1)
      await forgotten.next()
      const session = client.startSession()
      session.startTransaction()
      await books.insertOne({ n: 4 }, { session })
      const running = busy(client, 200)
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
      expect(report.holders.map(({ label }) => label).sort()).toEqual([`cursor ${DB}.books`, 'session'])
      expect(view.stats()).toMatchObject({ total: 0, state: 'closed' })
      if (wire !== undefined)
        await waitFor(async () => (await wire.view()).authenticated === 0, { what: 'the server has none left' })
      // Nothing is left on the client that was wrapped.
      expect(Object.hasOwn(client, 'startSession')).toBe(false)
      expect(client.listenerCount('connectionCheckedOut')).toBe(0)
    },
  )

  it('closes when its time is over, and says who held on', async () => {
    const { client, view } = clientOn(target, { maxPoolSize: 1 }, { Client })
    await client.connect()
    const running = busy(client, 3_000).catch((error: unknown) => error)
    await waitFor(() => view.stats().used === 1, { what: 'it runs' })
    const waiting = client
      .db(DB)
      .command({ ping: 1 })
      .catch((error: unknown) => error)
    await waitFor(() => view.stats().waiting === 1, { what: 'one waits' })
    const report = await view.close({ timeoutMillis: 50, waiters: 'reject' })
    expect(report).toMatchObject({ forced: 1, rejected: 1 })
    expect(report.holders.map(({ label }) => label)).toContainEqual(expect.stringMatching(/^connection to /))
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await running).toBeInstanceOf(Error)
    expect(view.stats()).toMatchObject({ total: 0, waiting: 0, used: 0 })
    expect(view.stats().refused).toBeGreaterThanOrEqual(1)
  })

  it('is told that its owner has closed it', async () => {
    const { client, view } = clientOn(target, {}, { Client })
    const registry = new PoolRegistry()
    registry.register(view)
    await client.db(DB).command({ ping: 1 })
    await client.close()
    expect(view.state).toBe('closed')
    expect(registry.get('mongodb')).toBeUndefined()
    expect(await view.close()).toMatchObject({ closed: 1, forced: 0 })
    expect(observeMongo(client)).not.toBe(view)
  })

  it('announces slow commands without their values, with the time they waited for a connection', async () => {
    const { client, view } = clientOn(
      target,
      { monitorCommands: true, maxPoolSize: 1 },
      { Client, view: { slowMillis: 80 } },
    )
    const slow: SlowOperation[] = []
    const books = client.db(DB).collection('books')
    await books.findOne({ title: SECRET })
    view.on('slow', (each) => slow.push(each))
    const running = busy(client, 300)
    // Where keeping it busy takes two commands, one that asks may come between them.
    const found = await waitFor(
      async () => {
        await books.findOne({ title: SECRET, stock: { $gt: 1 } }, { sort: { n: 1 } })
        return slow.find(({ operation, waitMillis }) => operation.startsWith('find') && waitMillis >= 80)
      },
      { what: 'it is told that one waited' },
    )
    await running
    expect(found).toMatchObject({ pool: 'mongodb', failed: false })
    expect(found.operation).toContain(`find ${DB}.books { filter: { title: ?, stock: { $gt: ? } }, sort: { n: ? }`)
    if (wire !== undefined) {
      const slept = slow.find(({ operation }) => operation === 'sleep admin { millis: ? }')
      expect(slept).toMatchObject({ failed: false })
      expect(slept?.useMillis).toBeGreaterThanOrEqual(280)
    }
    expect(inspect(slow)).not.toContain(SECRET)
  })

  it.skipIf(!target.hasChangeStreams)('does not take the reads of a change stream for slow ones', async () => {
    const { client, view } = clientOn(target, { monitorCommands: true }, { Client, view: { slowMillis: 80 } })
    const slow: string[] = []
    view.on('slow', ({ operation }) => slow.push(operation))
    const stream = client.db(DB).collection('books').watch([], { maxAwaitTimeMS: 150 })
    await stream.tryNext()
    await stream.tryNext()
    expect(slow.filter((operation) => operation.startsWith('getMore'))).toEqual([])
    await stream.close()
  })

  it('calls back in the async context of whoever asked: in sessions, transactions and streams', async () => {
    const { client, view } = clientOn(target, { maxPoolSize: 1 }, { Client, view: { leakThresholdMillis: 1_000 } })
    const context = new AsyncLocalStorage<number>()
    const books = client.db(DB).collection('books')
    await books.deleteMany({})
    await books.insertMany([{ n: 1 }, { n: 2 }])
    // After an `await` of its own, a function has its context back from the language; a callback has it from its caller.
    const seen = new Map<string, (number | undefined)[]>()
    const note = (where: string): void => {
      seen.set(where, [...(seen.get(where) ?? []), context.getStore()])
    }
    const work = async (): Promise<void> => {
      await client.withSession((session) => inSession(session))
      await new Promise<void>((resolve, reject) => {
        const stream = books.find().batchSize(1).stream()
        stream.on('data', () => note('data'))
        stream.on('error', reject).on('end', () => {
          note('end')
          resolve()
        })
      })
    }
    const inSession = async (session: ClientSession): Promise<void> => {
      note('withSession')
      session.once('ended', () => note('ended'))
      await books.findOne({}, { session })
      if (!target.hasTransactions) return
      await session.withTransaction(async () => {
        note('withTransaction')
        await books.findOne({}, { session })
      })
    }
    view.on('acquireStarted', () => note('acquireStarted'))
    const callers = [1, 2, 3, 4]
    await Promise.all(callers.map((number) => context.run(number, work)))
    const where = ['acquireStarted', 'withSession', 'ended', 'data', 'end']
    expect([...seen.keys()].sort()).toEqual([...where, ...(target.hasTransactions ? ['withTransaction'] : [])].sort())
    for (const [name, stores] of seen)
      expect([name, [...new Set(stores)].sort()], inspect(stores)).toEqual([name, callers])
    expectTruth(view, client)
  })

  it('shows no password, and is seen as closed afterwards', async () => {
    const { client, view } = clientOn(target, {}, { Client })
    await client.db(DB).command({ ping: 1 })
    const shown = inspect([view, view.stats(), await view.health(), await view.close()], { depth: 12 })
    for (const secret of target.secrets) expect(shown).not.toContain(secret)
    expect(view.state).toBe('closed')
  })
})

it('slow commands cannot be had from a client that does not tell of commands', () => {
  const nowhere = { uri: () => 'mongodb://127.0.0.1:1/' }
  expect(() => clientOn(nowhere, {}, { view: { slowMillis: 5 } })).toThrow(/monitorCommands: true/)
  expect(() => clientOn(nowhere, {}, { view: { leakTresholdMillis: 5 } as never })).toThrow(/leakThresholdMillis/)
})

/** Its types are those of a global module of the name 'mongoose'. */
const mongooseLowest = createRequire(import.meta.url)('mongoose-low') as typeof mongooseLatest

describe.each(targets.cases)('the $driver mongoose on $target.name', ({ target, driver }) => {
  const mongoose = driver === 'latest' ? mongooseLatest : mongooseLowest

  it('is observed from the beginning, by itself and by its connection, and closed', async () => {
    expect(() => observeMongo(new mongoose.Mongoose())).toThrow(/never opened: call mongoose.connect/)
    const own = new mongoose.Mongoose()
    const connecting = own.connect(
      target.uri(),
      mongoOptions({ max: 4, min: 1, serverSelectionTimeoutMS: 5_000, dbName: DB }),
    )
    const view = observeMongo(own)
    await connecting
    expect(observeMongo(own.connection)).toBe(view)
    expect(observeMongo(own.connection.useDb('other'))).toBe(view)
    const Person = own.model('Person', new own.Schema({ name: String }))
    await Promise.all(Array.from({ length: 6 }, (_, index) => Person.create({ name: `p${index}` })))
    for (const server of view.servers()) expect(server).toMatchObject({ max: 4, min: 1 })
    // The model makes its collection and indexes in the background.
    await waitFor(() => view.stats().used === 0, { what: 'all is done' })
    expect(view.stats().acquired).toBeGreaterThanOrEqual(6)
    const report = await view.close()
    expect(report.forced).toBe(0)
    expect(own.connection.readyState).toBe(0)
  })
})
