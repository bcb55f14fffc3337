import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startJongodb, tryStart, type JongodbServer } from '@millpond/rig'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { expectTruth } from '../support/mongo.ts'

/** Servers that are not ours: one of other people, and the deployment that `MONGODB_URI` names. */
const jongodb = await tryStart<JongodbServer>('jongodb', startJongodb)
const deployment = process.env['MONGODB_URI']
if (deployment === undefined) console.warn('\n  ⚠ MONGODB_URI is not set: nothing is tested on a real MongoDB\n')

const servers = [
  ...(jongodb === undefined ? [] : [['jongodb', jongodb.uri()] as const]),
  ...(deployment === undefined ? [] : [['the deployment of MONGODB_URI', deployment] as const]),
]

afterAll(async () => {
  await jongodb?.stop()
})

describe.skipIf(servers.length === 0).each(servers)('on %s', (_, uri) => {
  const client = new MongoClient(uri, mongoOptions({ max: 3, monitorCommands: true }, uri))
  const view = observeMongo(client)
  const books = client.db('millpond_test').collection<{ _id: number; title: string }>('books')
  beforeAll(async () => {
    await books.deleteMany({})
  })
  afterAll(async () => {
    await view.close()
  })

  it('the counts are those of the driver', async () => {
    const documents = Array.from({ length: 30 }, (_each, index) => ({ _id: index, title: `t${index}` }))
    await Promise.all(documents.map((document) => books.insertOne(document)))
    const stats = expectTruth(view, client)
    expect(stats).toMatchObject({ used: 0, waiting: 0, max: stats.max })
    expect(stats.acquired).toBeGreaterThanOrEqual(31)
    expect(stats.acquiredAfterWait).toBeGreaterThan(0)
    expect(stats.total).toBeGreaterThanOrEqual(1)
  })

  it('a cursor reads in batches, and a session is known until it ends', async () => {
    const cursor = books.find().sort({ _id: 1 }).batchSize(5)
    expect((await cursor.toArray()).map(({ _id }) => _id)).toEqual(Array.from({ length: 30 }, (_each, index) => index))
    await client.withSession(async (session) => {
      expect(await books.countDocuments({}, { session })).toBe(30)
    })
    expectTruth(view, client)
  })

  it('it is healthy, tells what was slow, and closes', async () => {
    expect((await view.health()).status).toBe('pass')
    const report = await view.close()
    expect(report).toMatchObject({ forced: 0, holders: [] })
    expect(view.stats().total).toBe(0)
  })
})
