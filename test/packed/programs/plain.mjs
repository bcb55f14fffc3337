import assert from 'node:assert'
import pg from 'pg'
import { Pool } from 'millpond'
import { pgPool } from 'millpond/pg'
import { FakeFactory, ManualClock } from 'millpond/testing'

const pool = pgPool(pg, { connectionString: process.env.DATABASE_URL })
assert.strictEqual(await pool.transaction(async (client) => (await client.query('SELECT 2 AS two')).rows[0].two), 2)
await pool.end()
const fake = new Pool(new FakeFactory(), { clock: new ManualClock() })
assert.strictEqual(await fake.use((resource) => resource.id), 1)
await fake.close()
