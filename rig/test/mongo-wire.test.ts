import { MongoClient, MongoServerError, type MongoClientOptions } from 'mongodb'
import mongoose from 'mongoose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startJongodb, startMongoWire, startMongoWireSet, tryStart, waitFor, type MongoWireServer } from '@millpond/rig'

const USERS = { ada: 'the password of ada' }
const clients: MongoClient[] = []

function client(uri: string, options: MongoClientOptions = {}): MongoClient {
  const made = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000, heartbeatFrequencyMS: 500, ...options })
  clients.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()))
})

describe('the wire-level test server', () => {
  let server: MongoWireServer
  beforeAll(async () => {
    server = await startMongoWire({ users: USERS, replicaSet: 'rig' })
  })
  afterAll(async () => {
    await server.stop()
  })

  it('keeps what it is told, and finds it again', async () => {
    const one = client(server.uri())
    const books = one.db('shop').collection<{ _id: number; title: string; stock: number }>('books')
    await books.deleteMany({})
    await books.insertMany(
      Array.from({ length: 250 }, (_, index) => ({ _id: index, title: `t${index % 5}`, stock: index })),
    )
    expect(await books.countDocuments({ title: 't1' })).toBe(50)
    expect(
      (
        await books
          .find({ stock: { $gte: 100 } })
          .sort({ stock: -1 })
          .batchSize(20)
          .toArray()
      ).length,
    ).toBe(150)
    await books.updateOne({ _id: 1 }, { $inc: { stock: 41 }, $set: { title: 'answer' } })
    expect(await books.findOne({ _id: 1 })).toEqual({ _id: 1, title: 'answer', stock: 42 })
    const { upsertedCount } = await books.updateOne(
      { _id: 1_000 },
      { $set: { title: 'new', stock: 0 } },
      { upsert: true },
    )
    expect(upsertedCount).toBe(1)
    expect(await books.findOneAndDelete({ _id: 1_000 })).toMatchObject({ title: 'new' })
    const groups = await books
      .aggregate([{ $group: { _id: '$title', n: { $sum: 1 } } }, { $sort: { _id: 1 } }])
      .toArray()
    expect(groups[0]).toEqual({ _id: 'answer', n: 1 })
    await one.db('shop').command({ createIndexes: 'books', indexes: [{ name: 's', key: { stock: 1 }, unique: true }] })
    await expect(books.insertOne({ _id: 2_000, title: 'twice', stock: 7 })).rejects.toMatchObject({ code: 11_000 })
  })

  it('takes back what an aborted transaction wrote', async () => {
    const one = client(server.uri())
    const orders = one.db('shop').collection('orders')
    await orders.deleteMany({})
    await one.withSession(async (session) => {
      await session.withTransaction(async () => {
        await orders.insertOne({ total: 10 }, { session })
      })
      session.startTransaction()
      await orders.insertOne({ total: 20 }, { session })
      await session.abortTransaction()
    })
    expect(await orders.countDocuments()).toBe(1)
  })

  it('streams changes to those who watch', async () => {
    const events = client(server.uri()).db('shop').collection('events')
    const stream = events.watch()
    const next = stream.next()
    await waitFor(async () => (await server.view()).cursors > 0, { what: 'the stream is open' })
    await events.insertOne({ type: 'paid' })
    expect(await next).toMatchObject({ operationType: 'insert', fullDocument: { type: 'paid' } })
    await stream.close()
  })

  it('lets in only who knows the password, and counts logins', async () => {
    await server.reset()
    const wrong = client(server.uri({ password: 'wrong' }))
    await expect(wrong.db().command({ ping: 1 })).rejects.toMatchObject({ code: 18 })
    expect((await server.view()).failedLogins).toBeGreaterThan(0)
    await client(server.uri()).db().command({ ping: 1 })
    expect((await server.view()).logins).toBe(1)
  })

  it('works in parallel, as far as connections allow', async () => {
    await server.reset()
    const one = client(server.uri(), { maxPoolSize: 4 })
    await Promise.all(Array.from({ length: 8 }, () => one.db('admin').command({ sleep: 1, millis: 100 })))
    const { mostActive, authenticated } = await server.view()
    expect({ mostActive, authenticated }).toEqual({ mostActive: 4, authenticated: 4 })
  })

  it('has commands fail, and cuts connections', async () => {
    const one = client(server.uri(), { retryReads: false })
    const books = one.db('shop').collection('books')
    await books.findOne()
    await server.failCommand({ mode: { times: 1 }, data: { failCommands: ['find'], errorCode: 11_600 } })
    await expect(books.findOne()).rejects.toBeInstanceOf(MongoServerError)
    await server.failCommand({ mode: { times: 1 }, data: { failCommands: ['find'], closeConnection: true } })
    await expect(books.findOne()).rejects.toMatchObject({ name: 'MongoNetworkError' })
    await waitFor(async () => (await books.findOne()) !== undefined, { what: 'it works again' })
  })

  it('steps down and up, and a write that may be repeated waits for it', async () => {
    const one = client(server.uri())
    const orders = one.db('shop').collection('orders')
    await orders.insertOne({ total: 1 })
    await server.stepDown()
    const write = orders.insertOne({ total: 2 })
    await waitFor(async () => ((await server.view()).commands['insert'] ?? 0) >= 1, {
      what: 'it was refused, or held back',
    })
    await server.stepUp()
    expect((await write).acknowledged).toBe(true)
  })

  it('refuses connections beyond its limit', async () => {
    const limited = await startMongoWire({ maxConnections: 1 })
    const one = client(limited.uri(), { serverSelectionTimeoutMS: 500, serverMonitoringMode: 'poll' })
    await expect(one.db().command({ ping: 1 })).rejects.toThrow()
    expect((await limited.view()).refused).toBeGreaterThan(0)
    await limited.stop()
  })

  it('is killed, and starts again on its port', async () => {
    const one = client(server.uri())
    await one.db().command({ ping: 1 })
    await server.restart('kill')
    await waitFor(async () => (await one.db().command({ ping: 1 }))['ok'] === 1, { what: 'it answers again' })
  })

  it('is silent while it is paused', async () => {
    const one = client(server.uri())
    await one.db().command({ ping: 1 })
    server.pause()
    let answered = false
    const answer = one
      .db()
      .command({ ping: 1 })
      .then(() => (answered = true))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    server.resume()
    await answer
  })

  it('serves mongoose', async () => {
    const connection = await mongoose.createConnection(server.uri(), { heartbeatFrequencyMS: 500 }).asPromise()
    const Person = connection.model('Person', new mongoose.Schema({ name: { type: String, unique: true } }))
    await Person.init()
    await Person.deleteMany()
    await new Person({ name: 'Ada' }).save()
    expect(await Person.findOne({ name: 'Ada' }).lean()).toMatchObject({ name: 'Ada' })
    await connection.close()
  })
})

it('a set of wire-level test servers has one primary, until another one is elected', async () => {
  const members = await startMongoWireSet(2)
  const [first, second] = members
  const one = client(first?.uri() ?? '')
  await one.connect()
  await one.db('shop').collection('books').insertOne({ title: 'one' })
  await Promise.all(
    Array.from({ length: 12 }, () =>
      one.db('shop').collection('books', { readPreference: 'secondary' }).find({}).toArray(),
    ),
  )
  const views = await Promise.all(members.map((member) => member.view()))
  expect(views.map(({ commands }) => (commands['insert'] ?? 0) > 0)).toEqual([true, false])
  expect(views[0]?.commands['find']).toBeUndefined()
  await first?.stepDown()
  await second?.stepUp()
  await one.db('shop').collection('books').insertOne({ title: 'two' })
  expect((await second?.view())?.commands['insert']).toBe(1)
  await one.close()
  await Promise.all(members.map((member) => member.stop()))
}, 60_000)

it('a second opinion: a server of somebody else takes the same commands', async () => {
  const other = await tryStart('jongodb', startJongodb)
  if (other === undefined) return
  const books = client(other.uri()).db('shop').collection('books')
  await books.insertMany([{ title: 'a' }, { title: 'b' }])
  expect(await books.find().sort({ title: -1 }).toArray()).toMatchObject([{ title: 'b' }, { title: 'a' }])
  await other.stop()
})
