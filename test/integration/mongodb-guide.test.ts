import mongoose from 'mongoose'
import { afterAll, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { PoolRegistry, type PoolStats } from 'millpond'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { expectSameProgram } from '../support/guide.ts'
import { driverCounts } from '../support/mongo.ts'
import { startMongoTargets } from '../support/mongo-targets.ts'

const targets = await startMongoTargets({ replicaSet: 'rig' })
afterAll(async () => {
  await targets.stop()
})

type Mongoose = mongoose.Mongoose

const OPTIONS: mongoose.ConnectOptions = {
  dbName: 'millpond_test',
  maxPoolSize: 20,
  minPoolSize: 2,
  maxIdleTimeMS: 30_000,
  socketTimeoutMS: 45_000,
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 10_000,
  heartbeatFrequencyMS: 500,
  retryWrites: true,
  retryReads: true,
  monitorCommands: true,
}

type Connect = (app: Mongoose, uri: string, options?: mongoose.ConnectOptions) => Promise<Mongoose>

/** The one line that is another. */
const CONSTRUCTORS: readonly (readonly [string, Connect])[] = [
  ['mongoose.connect(uri, options)', (app, uri, options = OPTIONS) => app.connect(uri, options)],
  [
    'mongoose.connect(uri, mongoOptions(options))',
    (app, uri, options = OPTIONS) => app.connect(uri, mongoOptions(options)),
  ],
]

/** A service with models, told of its connection, with statistics at intervals. */
class Service {
  readonly app = new mongoose.Mongoose()
  readonly log: string[] = []
  readonly reports: ReturnType<typeof driverCounts>[] = []
  readonly Event = this.app.model('Event', new this.app.Schema({ type: String, at: Date }))
  #timer: NodeJS.Timeout | undefined

  async start(connect: Connect, uri: string): Promise<void> {
    const { connection } = this.app
    connection.on('connected', () => this.log.push('connected'))
    connection.on('error', (error: Error) => this.log.push(`error: ${error.name}`))
    connection.on('disconnected', () => this.log.push('disconnected'))
    await connect(this.app, uri)
    this.#timer = setInterval(() => this.reports.push(driverCounts(connection.getClient() as never)), 20)
  }

  async work(): Promise<number> {
    await this.Event.deleteMany({})
    await Promise.all(Array.from({ length: 30 }, () => this.Event.create({ type: 'paid', at: new Date() })))
    return await this.Event.countDocuments({ type: 'paid' })
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.app.connection.close()
  }
}

describe.each(targets.all)('a service on mongoose and $name', (target) => {
  it.each(CONSTRUCTORS)('works alike: %s', async (_, connect) => {
    const service = new Service()
    await service.start(connect, target.uri())
    expect(await service.work()).toBe(30)
    const quiet = await waitFor(() => service.reports.find(({ used, total }) => used === 0 && total >= 2), {
      what: 'a report after the work',
    })
    expect(quiet.total).toBeLessThanOrEqual(20)
    await service.stop()
    expect(service.log).toEqual(['connected', 'disconnected'])
    expect(service.app.connection.readyState).toBe(0)
  })

  it('shows statistics, and closes with its registry', async () => {
    const service = new Service()
    const connecting = service.start((app, uri) => app.connect(uri, mongoOptions(OPTIONS)), target.uri())
    const registry = new PoolRegistry()
    const pool = registry.register(observeMongo(service.app, { slowMillis: 500 }), { required: true })
    await connecting
    const reports: PoolStats[] = []
    const timer = setInterval(() => reports.push(pool.stats()), 20)
    expect(await service.work()).toBe(30)
    const quiet = await waitFor(
      () => reports.find(({ used, waiting, acquired }) => used + waiting === 0 && acquired > 30),
      {
        what: 'a report after the work',
      },
    )
    clearInterval(timer)
    expect(quiet).toMatchObject({ name: 'mongodb', waiting: 0 })
    for (const server of pool.servers()) expect(server).toMatchObject({ max: 20, min: 2 })
    expect(quiet.total).toBeGreaterThanOrEqual(2)
    expect((await registry.health()).status).toBe('pass')
    await registry.close()
    expect(service.app.connection.readyState).toBe(0)
    expect(pool.state).toBe('closed')
    await service.stop()
  })

  it.skipIf(target.away === undefined)('is told of an outage once, however often it tries', async () => {
    const service = new Service()
    const connecting = service.start((app, uri) => app.connect(uri, mongoOptions(OPTIONS)), target.uri())
    const pool = observeMongo(service.app)
    pool.on('paused', () => service.log.push('paused'))
    pool.on('resumed', () => service.log.push('resumed'))
    await connecting
    await service.work()
    let attempts = 0
    service.app.connection.getClient().on('serverHeartbeatFailed', () => attempts++)
    const back = await target.away?.()
    await waitFor(() => attempts >= 3, { what: 'three attempts have failed' })
    expect((await pool.health()).status).toBe('fail')
    await back?.()
    await waitFor(() => pool.state === 'open', { what: 'it is back' })
    await service.Event.create({ type: 'refunded', at: new Date() })
    expect((await pool.health()).status).toBe('pass')
    expect(service.log.filter((line) => line === 'paused' || line === 'resumed')).toEqual(['paused', 'resumed'])
    await service.stop()
  })
})

it.each(CONSTRUCTORS)('a service on mongoose is told alike of a server that is nowhere: %s', async (_, connect) => {
  const service = new Service()
  const options = { ...OPTIONS, serverSelectionTimeoutMS: 300 }
  const starting = service.start((app, uri) => connect(app, uri, options), 'mongodb://127.0.0.1:1/')
  await expect(starting).rejects.toMatchObject({ name: 'MongooseServerSelectionError' })
  expect(service.log).toEqual(['disconnected'])
  await service.stop()
})

it('a service on mongoose ends alike on a signal', async () => {
  const [target] = targets.all
  await expectSameProgram('mongoose', target?.uri() ?? '', 'right')
  await waitFor(async () => (await target?.wire?.view())?.authenticated === 0, { what: 'the server has none left' })
})
