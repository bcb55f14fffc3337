/** Another process on the same server: a few callers of its own, until its input ends. */
import pg from 'pg'
import { pgPool } from 'millpond/pg'
import { Callers, MIXES } from './load.ts'

await using pool = pgPool(pg, { connectionString: process.argv[2] ?? '', max: 4, application_name: 'neighbour' })
await pool.ready()
const load = new Callers(pool, MIXES['computing'] ?? raise(), Math.random)
load.count = 4
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.resume().once('end', resolve))
await load.stop()

function raise(): never {
  throw new Error('there is no such mix')
}
