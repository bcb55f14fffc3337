/** `npm run bench:mongodb`: what `observeMongo` costs, on the wire-level test server of the rig; see `lib/pairs.mjs`. */
import { MongoClient } from 'mongodb'
import { startMongoWire } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { PAIRS } from './subjects.mjs'

await pairBench({
  name: 'mongodb',
  head: 'the driver → the driver observed',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startMongoWire()
    const client = await new MongoClient(server.uri()).connect()
    const documents = Array.from({ length: 100 }, (_, n) => ({ _id: n, name: `item ${n}` }))
    await client.db('bench').collection<{ _id: number; name: string }>('items').insertMany(documents)
    await client.close()
    await run({ uri: server.uri() })
  },
})
process.exit(0)
