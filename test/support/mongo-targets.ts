import { MongoClient } from 'mongodb'
import {
  startFaultProxy,
  startJongodb,
  startMongoWire,
  tryStart,
  type FaultProxy,
  type MongoWireOptions,
  type MongoWireServer,
} from '@millpond/rig'
import { DRIVERS, sleepOn, USERS } from './mongo.ts'

/** A server that the tests of the adapter run on. What it lacks, the tests that need it skip by name. */
export interface MongoTarget {
  readonly name: string
  readonly uri: () => string
  /** What must never be shown; none where nobody has to log in. */
  readonly secrets: readonly string[]
  /** Our own test server, which can be asked and disturbed. */
  readonly wire: MongoWireServer | undefined
  readonly hasChangeStreams: boolean
  readonly hasTransactions: boolean
  /** Keeps one connection busy for about that long. */
  readonly busy: (client: MongoClient, millis: number) => Promise<unknown>
  /** Where nobody can reach it for a while: until the function that this gives is called. */
  readonly away: (() => Promise<() => Promise<void>>) | undefined
}

export interface MongoTargets {
  readonly all: readonly MongoTarget[]
  /** Each server with each driver; the one of other people with the latest alone. */
  readonly cases: readonly {
    readonly target: MongoTarget
    readonly driver: string
    readonly Client: typeof MongoClient
  }[]
  stop(): Promise<void>
}

/** Our own server, the one of other people where it runs, and the deployment of `MONGODB_URI` where that is set. */
export async function startMongoTargets(options: MongoWireOptions = {}): Promise<MongoTargets> {
  const wire = await startMongoWire({ users: USERS, ...options })
  const jongodb = await tryStart('jongodb', startJongodb)
  const proxy = jongodb && (await startFaultProxy({ host: '127.0.0.1', port: jongodb.port }))
  const deployment = process.env['MONGODB_URI']
  if (deployment === undefined) console.warn('\n  ⚠ MONGODB_URI is not set: nothing is tested on a real MongoDB\n')
  const all = [
    ofWire(wire, options),
    ...(proxy === undefined ? [] : [ofJongodb(proxy)]),
    ...(deployment === undefined ? [] : [await ofDeployment(deployment)]),
  ]
  return {
    all,
    cases: all.flatMap((target) =>
      DRIVERS.filter(([driver]) => target.name !== 'jongodb' || driver === 'latest').map(([driver, Client]) => ({
        target,
        driver,
        Client,
      })),
    ),
    async stop() {
      await Promise.all([wire.stop(), proxy?.close(), jongodb?.stop()])
    },
  }
}

const ofWire = (wire: MongoWireServer, { replicaSet }: MongoWireOptions): MongoTarget => ({
  name: 'the wire-level test server',
  uri: () => wire.uri(),
  secrets: Object.values(USERS),
  wire,
  hasChangeStreams: true,
  hasTransactions: replicaSet !== undefined,
  busy: sleepOn,
  away: async () => {
    await wire.kill()
    return () => wire.start()
  },
})

function ofJongodb(proxy: FaultProxy): MongoTarget {
  let busy = 0
  return {
    name: 'jongodb',
    uri: () => `mongodb://127.0.0.1:${proxy.port}/test?directConnection=true`,
    secrets: [],
    wire: undefined,
    hasChangeStreams: false,
    hasTransactions: true,
    // It has no command that takes its time, so the way to it does.
    busy: async (client, millis) => {
      if (busy++ === 0) await proxy.set({ down: { latencyMillis: millis } })
      try {
        return await client.db('admin').command({ ping: 1 })
      } finally {
        if (--busy === 0) await proxy.clear()
      }
    },
    away: async () => {
      await proxy.set({ connect: 'refuse' })
      proxy.cutAll('reset')
      return () => proxy.clear()
    },
  }
}

/** What a deployment has, it says itself. */
async function ofDeployment(uri: string): Promise<MongoTarget> {
  const client = new MongoClient(uri)
  const hello = await client.db('admin').command({ hello: 1 })
  await client.close()
  const isReplicated = hello['setName'] !== undefined || hello['msg'] === 'isdbgrid'
  const password = decodeURIComponent(/^[^/]*\/\/[^:/@]*:([^@]*)@/.exec(uri)?.[1] ?? '')
  return {
    name: 'the deployment of MONGODB_URI',
    uri: () => uri,
    secrets: password === '' ? [] : [password],
    wire: undefined,
    hasChangeStreams: isReplicated,
    hasTransactions: isReplicated,
    busy: isReplicated ? waitForChanges : loop,
    away: undefined,
  }
}

/** Has the server wait for a change that does not come. */
async function waitForChanges(client: MongoClient, millis: number): Promise<void> {
  const stream = client.db('millpond_test').collection('nothing').watch([], { maxAwaitTimeMS: millis })
  try {
    await stream.tryNext()
  } finally {
    await stream.close()
  }
}

/** Has the server run a loop; where JavaScript is switched off, it says so. */
async function loop(client: MongoClient, millis: number): Promise<void> {
  const collection = client.db('millpond_test').collection<{ _id: number }>('one')
  await collection.updateOne({ _id: 1 }, { $set: { n: 1 } }, { upsert: true })
  await collection.findOne({ $where: `sleep(${millis}) || true` })
}
