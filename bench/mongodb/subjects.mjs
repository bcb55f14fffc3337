import { MongoClient } from 'mongodb'
import { observeMongo } from '../../dist/adapters/mongodb/index.js'

/** Connections of every client: equal for all. */
const CONNECTIONS = 10
const CALLERS = [10, 50]

/** What one operation is. */
const OPERATIONS = {
  findOne: (client) => {
    const items = client.db('bench').collection('items')
    return (n) => items.findOne({ _id: n % 100 })
  },
  'find, 100 documents in 4 batches': (client) => {
    const items = client.db('bench').collection('items')
    return () => items.find({}, { batchSize: 30 }).toArray()
  },
}

function clientOf({ uri }, operation, options, observe) {
  const client = new MongoClient(uri, { maxPoolSize: CONNECTIONS, waitQueueTimeoutMS: 10_000, ...options })
  observe(client)
  return { work: operation(client), close: () => client.close() }
}

/** The driver by itself, and the driver observed: the same client options for both. */
function pair(operation, { driver = {}, view = {}, listen = () => undefined, operations = 600 } = {}) {
  return {
    ours: (target) => clientOf(target, operation, driver, (client) => listen(observeMongo(client, view))),
    theirs: (target) => clientOf(target, operation, driver, () => undefined),
    callers: CALLERS,
    operations,
  }
}

const hearSlow = (view) => view.on('slow', () => undefined)

/** @type {Readonly<Record<string, import('../lib/pairs.mjs').Pair>>} */
export const PAIRS = {
  findOne: pair(OPERATIONS.findOne),
  'findOne, slow commands told of': pair(OPERATIONS.findOne, { driver: { monitorCommands: true }, listen: hearSlow }),
  'find, 100 documents in 4 batches': pair(OPERATIONS['find, 100 documents in 4 batches'], { operations: 120 }),
  'the same, leaks reported with stacks': pair(OPERATIONS['find, 100 documents in 4 batches'], {
    view: { leakThresholdMillis: 60_000 },
    operations: 120,
  }),
}
