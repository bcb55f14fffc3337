import { MongoClient } from 'mongodb'
import mongoose from 'mongoose'
import { afterAll, describe, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { mongoOptions, observeMongo, type MongoView } from 'millpond/mongodb'
import { viewContract, type ViewContractOptions } from 'millpond/testing'
import { startMongoTargets } from '../support/mongo-targets.ts'

const targets = await startMongoTargets()
afterAll(async () => {
  await targets.stop()
})

const options = mongoOptions({
  max: 2,
  serverSelectionTimeoutMS: 1_000,
  heartbeatFrequencyMS: 500,
  monitorCommands: true,
})

describe.each(targets.all)('on $name', ({ uri, secrets, busy }) => {
  const clients = new WeakMap<MongoView, MongoClient>()
  const clientOf = (view: MongoView): MongoClient => {
    const client = clients.get(view)
    if (client === undefined) throw new Error('not one of these')
    return client
  }
  const contract: Omit<ViewContractOptions<MongoView>, 'make' | 'makeBroken'> = {
    touch: async (view) => {
      await clientOf(view).db().command({ ping: 1 })
    },
    exhaust: async (view) => {
      let isOver = false
      const hold = async (): Promise<void> => {
        while (!isOver) await busy(clientOf(view), 300).catch(() => undefined)
      }
      const held = [hold(), hold()]
      await waitFor(() => view.stats().used === 2, { what: 'both are in use', everyMillis: 2 })
      return async () => {
        isOver = true
        await Promise.all(held)
      }
    },
    secrets,
  }
  /** The same login, and nobody who listens. */
  const nowhere = (): string => {
    const login = /^[^/]*\/\/([^@/]*@)?/.exec(uri())?.[1] ?? ''
    return `mongodb://${login}127.0.0.1:1/?directConnection=true${login === '' ? '' : '&authSource=admin'}`
  }

  const observed = (to: string): MongoView => {
    const client = new MongoClient(to, options)
    const view = observeMongo(client)
    clients.set(view, client)
    return view
  }

  viewContract<MongoView>(
    'observeMongo on a MongoClient',
    { describe, it },
    { ...contract, make: () => observed(uri()), makeBroken: () => observed(nowhere()) },
  )

  viewContract<MongoView>(
    'observeMongo on a connection of mongoose',
    { describe, it },
    {
      ...contract,
      make: async () => {
        const connection = await mongoose.createConnection(uri(), options).asPromise()
        const view = observeMongo(connection)
        clients.set(view, connection.getClient() as unknown as MongoClient)
        return view
      },
      makeBroken: () => {
        const connection = mongoose.createConnection(nowhere(), options)
        connection.asPromise().catch(() => undefined)
        const view = observeMongo(connection)
        clients.set(view, connection.getClient() as unknown as MongoClient)
        return view
      },
    },
  )
})
