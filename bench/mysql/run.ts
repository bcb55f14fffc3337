/** `npm run bench:mysql`: queries against mysql2's own pools at equal connections, on MariaDB; see `lib/pairs.mjs`. */
import mysql from 'mysql2/promise'
import { startMariaDb } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { PAIRS } from './subjects.mjs'

await pairBench({
  name: 'mysql',
  head: 'mysql2’s pool → Millpond on mysql2',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startMariaDb()
    const setup = await mysql.createConnection(server.config)
    await setup.query('CREATE TABLE bench_items (id int PRIMARY KEY, name varchar(50)) ENGINE=InnoDB')
    await setup.query("INSERT INTO bench_items SELECT seq, CONCAT('item ', seq) FROM seq_0_to_999")
    await setup.end()
    await run(server.config)
  },
})
process.exit(0)
