/** `npm run bench:observe`: what it costs a pool to be watched; see `lib/pairs.mjs`. */
import { startHttp, startPostgres } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { PAIRS } from './subjects.mjs'

await pairBench({
  name: 'observe',
  head: 'alone → watched',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using http = await startHttp()
    await using postgres = await startPostgres()
    await run({ origin: http.origin, connectionString: postgres.connectionString })
  },
})
process.exit(0)
