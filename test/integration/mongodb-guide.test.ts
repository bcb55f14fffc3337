import { EventEmitter } from 'node:events'
import mongoose from 'mongoose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startMongoWire, waitFor, type MongoWireServer } from '@millpond/rig'
import { PoolRegistry, type PoolStats, type ProcessLike } from 'millpond'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { USERS } from '../support/mongo.ts'

let server: MongoWireServer
beforeAll(async () => {
  server = await startMongoWire({ users: USERS, replicaSet: 'rig' })
})
afterAll(async () => {
  await server.stop()
})

class OwnProcess extends EventEmitter {
  readonly exits: (number | undefined)[] = []
  exit(code?: number): void {
    this.exits.push(code)
  }
}

it('a service on mongoose: connection events, statistics at intervals, an outage, closing on a signal', async () => {
  const log: string[] = []
  const app = new mongoose.Mongoose()
  // A program made for the driver changes the options of this call alone.
  const connecting = app.connect(
    server.uri(),
    mongoOptions({
      max: 20,
      min: 2,
      idleTimeoutMillis: 30_000,
      createTimeoutMillis: 10_000,
      socketTimeoutMS: 45_000,
      serverSelectionTimeoutMS: 5_000,
      heartbeatFrequencyMS: 500,
      retryWrites: true,
      retryReads: true,
      monitorCommands: true,
    }),
  )
  app.connection.on('connected', () => log.push('connected'))
  app.connection.on('disconnected', () => log.push('disconnected'))
  const registry = new PoolRegistry()
  const pool = registry.register(observeMongo(app, { slowMillis: 500 }), { required: true })
  pool.on('paused', () => log.push('paused'))
  pool.on('resumed', () => log.push('resumed'))
  await connecting

  const reports: PoolStats[] = []
  const timer = setInterval(() => reports.push(pool.stats()), 20)
  const Event = app.model('Event', new app.Schema({ type: String, at: Date }))
  await Promise.all(Array.from({ length: 30 }, () => Event.create({ type: 'paid', at: new Date() })))
  expect(await Event.countDocuments({ type: 'paid' })).toBe(30)
  const quiet = await waitFor(() => reports.find(({ used, acquired }) => used === 0 && acquired > 30), {
    what: 'a report after the work',
  })
  expect(quiet).toMatchObject({ name: 'mongodb', max: 20, min: 2, waiting: 0 })
  expect(quiet.total).toBeGreaterThanOrEqual(2)

  let attempts = 0
  app.connection.getClient().on('serverHeartbeatFailed', () => attempts++)
  await server.kill()
  await waitFor(() => attempts >= 3, { what: 'three attempts have failed' })
  expect((await registry.health()).status).toBe('fail')
  await server.start()
  await waitFor(() => pool.state === 'open', { what: 'it is back' })
  await Event.create({ type: 'refunded', at: new Date() })
  expect((await registry.health()).status).toBe('pass')
  expect(log.filter((line) => line === 'paused' || line === 'resumed')).toEqual(['paused', 'resumed'])

  clearInterval(timer)
  const own = new OwnProcess()
  registry.closeOnSignals({ process: own as unknown as ProcessLike })
  own.emit('SIGINT')
  await waitFor(() => own.exits.length > 0, { what: 'the process exits' })
  expect(own.exits).toEqual([130])
  expect(app.connection.readyState).toBe(0)
  expect(pool.state).toBe('closed')
})
