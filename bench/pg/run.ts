/** `npm run bench:pg`: queries against pg.Pool at equal connections, on PostgreSQL; see `lib/pairs.mjs`. */
import pg from 'pg'
import { startPostgres } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { PAIRS } from './subjects.mjs'

await pairBench({
  name: 'pg',
  head: 'pg.Pool → Millpond on pg',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startPostgres()
    const { connectionString } = server
    const setup = new pg.Client({ connectionString })
    await setup.connect()
    await setup.query('CREATE TABLE bench_items (id int PRIMARY KEY, name varchar(50))')
    await setup.query("INSERT INTO bench_items SELECT n, 'item ' || n FROM generate_series(0, 999) AS n")
    await setup.end()
    await run({ connectionString })
  },
})
process.exit(0)
