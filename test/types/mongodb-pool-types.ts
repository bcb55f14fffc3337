/** Compiled, never run: what users of `millpond/mongodb` see, with the lowest and the latest driver and mongoose. */
import { MongoClient, type MongoClientOptions } from 'mongodb'
import mongoose from 'mongoose'
import { PoolRegistry, type CloseReport, type HealthCheck, type ManagedPool, type PoolStats } from 'millpond'
import { mongoOptions, observeMongo, type MongoView, type ServerStats } from 'millpond/mongodb'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ']): void => undefined

const uri = 'mongodb://127.0.0.1/app'

export function boundsTheDriver(): MongoClient[] {
  const options: MongoClientOptions = mongoOptions({ max: 20, min: 2, acquireTimeoutMillis: 5_000 })
  const theirs = mongoOptions({ max: 20, appName: 'shop', readPreference: 'secondary' as const }, uri)
  same<typeof theirs.appName, string>()
  same<typeof theirs.maxPoolSize, number | undefined>()
  // @ts-expect-error: Millpond's name is the driver's by now
  void theirs.max
  return [new MongoClient(uri), new MongoClient(uri, options), new MongoClient(uri, theirs)]
}

export async function boundsMongoose(): Promise<void> {
  await mongoose.connect(uri, mongoOptions({ max: 20, min: 2, autoIndex: false }))
  const other = mongoose.createConnection(uri, mongoOptions({ max: 5 }))
  const views: MongoView[] = [observeMongo(mongoose), observeMongo(mongoose.connection), observeMongo(other)]
  const managed: ManagedPool[] = views.map((view) => new PoolRegistry().register(view))
  await Promise.all(managed.map((pool) => pool.close()))
}

export async function watchesAndEnds(): Promise<void> {
  const client = new MongoClient(uri, { monitorCommands: true })
  const view = observeMongo(client, { name: 'events', slowMillis: 100, leakThresholdMillis: 30_000, trackStacks: true })
  view.on('slow', ({ operation, waitMillis, useMillis }) => {
    same<[typeof operation, typeof waitMillis, typeof useMillis], [string, number, number]>()
  })
  same<ReturnType<typeof view.stats>, PoolStats>()
  same<ReturnType<typeof view.servers>, ServerStats[]>()
  same<Awaited<ReturnType<typeof view.health>>, HealthCheck>()
  same<Awaited<ReturnType<typeof view.close>>, CloseReport>()
  view.detach()
  await view.close({ timeoutMillis: 1_000 })
}

export function refuses(): void {
  // @ts-expect-error: a number
  mongoOptions({ max: '20' })
  // @ts-expect-error: no such option of the view
  observeMongo(mongoose, { naem: 'events' })
  // @ts-expect-error: a client, a connection or mongoose
  observeMongo(uri)
  // @ts-expect-error: no such event
  observeMongo(mongoose).on('sloow', () => undefined)
}
