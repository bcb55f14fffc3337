import { MongoClient } from 'mongodb'
import { observeMongo } from '../../src/adapters/mongodb/index.ts'

// Ends by `process.exit` while a command is on its way, as soon as it has its connection.
const client = new MongoClient(process.argv[2] ?? '')
const view = observeMongo(client, { name: 'orders', slowMillis: Infinity })
await client.db('admin').command({ ping: 1 })
view.on('acquired', () => setImmediate(() => process.exit(3)))
await client.db('shop').collection('orders').findOne({})
