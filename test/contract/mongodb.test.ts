import { MongoClient } from 'mongodb'
import mongoose from 'mongoose'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startMongoWire, type MongoWireServer } from '@millpond/rig'
import { mongoOptions, observeMongo, type MongoView } from 'millpond/mongodb'
import { viewContract, type ViewContractOptions } from 'millpond/testing'
import { SECRET, sleepOn, USERS } from '../support/mongo.ts'

let server: MongoWireServer
beforeAll(async () => {
  server = await startMongoWire({ users: USERS })
})
afterAll(async () => {
  await server.stop()
})

const clients = new WeakMap<MongoView, MongoClient>()
const options = mongoOptions({
  max: 2,
  serverSelectionTimeoutMS: 500,
  heartbeatFrequencyMS: 500,
  monitorCommands: true,
})

const contract: Omit<ViewContractOptions<MongoView>, 'make' | 'makeBroken'> = {
  touch: async (view) => {
    await clients.get(view)?.db().command({ ping: 1 })
  },
  exhaust: (view) => {
    const client = clients.get(view)
    if (client === undefined) throw new Error('no client')
    const running = [1, 2].map(() => sleepOn(client, 300).catch(() => undefined))
    return new Promise((resolve) => {
      const look = (): void => {
        if (view.stats().used === 2) resolve(() => Promise.all(running))
        else setTimeout(look, 2)
      }
      look()
    })
  },
  secrets: [SECRET],
}

function observed(uri: string): MongoView {
  const client = new MongoClient(uri, options)
  const view = observeMongo(client)
  clients.set(view, client)
  return view
}

viewContract<MongoView>(
  'observeMongo on a MongoClient',
  { describe, it },
  {
    ...contract,
    make: () => observed(server.uri()),
    makeBroken: () => observed(server.uri().replace(String(server.port), '1')),
  },
)

viewContract<MongoView>(
  'observeMongo on a connection of mongoose',
  { describe, it },
  {
    ...contract,
    make: async () => {
      const connection = await mongoose.createConnection(server.uri(), options).asPromise()
      const view = observeMongo(connection)
      clients.set(view, connection.getClient() as unknown as MongoClient)
      return view
    },
    makeBroken: () => {
      const connection = mongoose.createConnection(server.uri().replace(String(server.port), '1'), options)
      connection.asPromise().catch(() => undefined)
      const view = observeMongo(connection)
      clients.set(view, connection.getClient() as unknown as MongoClient)
      return view
    },
  },
)
