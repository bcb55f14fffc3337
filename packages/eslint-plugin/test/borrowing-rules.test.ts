import { testRule } from './cases.ts'

const PG = `import pg from 'pg'\nconst pool = new pg.Pool()\n`
const MYSQL = `import mysql from 'mysql2/promise'\nconst pool = mysql.createPool({})\n`
const MILLPOND = `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\n`
const inPg = (body: string): string => `${PG}export async function f() { ${body} }`

testRule('no-double-release', {
  wrong: [
    { name: 'pg: in catch and in finally', code: inPg(`const c = await pool.connect(); try { await c.query('x') } catch (e) { c.release(); throw e } finally { c.release() }`), errors: ['twice'] },
    { name: 'pg: in a row', code: inPg(`const c = await pool.connect(); c.release(); c.release()`), errors: ['twice'] },
    { name: 'pg: used after the release', code: inPg(`const c = await pool.connect(); c.release(); await c.query('x')`), errors: ['afterwards'] },
    { name: 'pg: done and release', code: `${PG}pool.connect((err, client, done) => { if (err) return; done(); client.release() })`, errors: ['twice'] },
    { name: 'mysql2: before a return that finally follows', code: `${MYSQL}export async function f() { const c = await pool.getConnection(); try { c.release(); return 1 } finally { c.release() } }`, errors: ['twice'] },
    { name: 'Millpond: a lease', code: `${MILLPOND}export async function f() { const lease = await pool.acquire(); lease.release(); lease.release() }`, errors: ['twice'] },
    { name: 'by a closure', code: inPg(`const c = await pool.connect(); const done = () => c.release(); done(); done()`), errors: ['twice'] },
  ],
  right: [
    { name: 'once on each path', code: inPg(`const c = await pool.connect(); if (c.x) { c.release(); return } c.release()`) },
    { name: 'behind a flag', code: inPg(`let released = false; const c = await pool.connect(); try { c.release(); released = true } finally { if (!released) c.release() }`) },
    { name: 'borrowed again between', code: inPg(`let c = await pool.connect(); c.release(); c = await pool.connect(); c.release()`) },
    { name: 'cleared between', code: inPg(`let c = await pool.connect(); c.release(); c = undefined; c?.release()`) },
    { name: 'a parameter is not the function that takes it', code: inPg(`const c = await pool.connect(); await new Promise((resolve) => { c.query('x', () => { c.release(); resolve() }) })`) },
    { name: 'listeners taken off afterwards', code: inPg(`const c = await pool.connect(); c.release(); c.off('error', g)`) },
    { name: 'in catch and in order', code: inPg(`const c = await pool.connect(); try { await c.query('x'); c.release() } catch (e) { c.release(e) }`) },
  ],
}) // prettier-ignore

testRule('no-dropped-acquire', {
  wrong: [
    { name: 'pg: connect to see whether it works', code: inPg(`await pool.connect()`), errors: ['dropped'] },
    { name: 'pg: not even awaited', code: inPg(`void pool.connect()`), errors: ['dropped'] },
    { name: 'pg: chained', code: inPg(`const r = await (await pool.connect()).query('x'); return r`), errors: ['chained'] },
    { name: 'mysql2', code: `${MYSQL}export const f = async () => { await pool.getConnection() }`, errors: ['dropped'] },
    { name: 'Millpond', code: `${MILLPOND}export async function f() { await pool.acquire({ label: 'x' }) }`, errors: [{ messageId: 'dropped', data: { method: 'acquire', probe: 'pool.ready()' } }] },
    { name: 'generic-pool', code: `import gp from 'generic-pool'\nconst pool = gp.createPool(f)\npool.acquire()`, errors: ['dropped'] },
  ],
  right: [
    { name: 'kept', code: inPg(`const c = await pool.connect(); c.release()`) },
    { name: 'given back at once', code: inPg(`(await pool.connect()).release()`) },
    { name: 'with a callback', code: `${PG}pool.connect((err, c, done) => done())` },
    { name: 'with a callback of another file', code: `${PG}import { cb } from './cb.js'\npool.connect(cb)` },
    { name: 'passed on', code: inPg(`return pool.connect()`) },
    { name: 'then', code: inPg(`pool.connect().then((c) => c.release())`) },
    { name: 'mongodb connects, and lends nothing', code: `import { MongoClient } from 'mongodb'\nconst client = new MongoClient(u)\nawait client.connect()` },
    { name: 'node-redis too', code: `import { createClient } from 'redis'\nconst client = createClient()\nawait client.connect()` },
    { name: 'a pool of mssql by its name', code: `export async function f(pool) { await pool.connect() }` },
  ],
}) // prettier-ignore

testRule('no-transaction-on-pool', {
  wrong: [
    { name: 'pg: all three', code: inPg(`await pool.query('BEGIN'); await pool.query('COMMIT'); await pool.query('ROLLBACK')`), errors: ['transaction', 'transaction', 'transaction'] },
    { name: 'pg: in an object', code: inPg(`await pool.query({ text: 'begin isolation level serializable' })`), errors: ['transaction'] },
    { name: 'mysql2: START TRANSACTION', code: `${MYSQL}await pool.query('START TRANSACTION')`, errors: ['transaction'] },
    { name: 'pg: SET', code: inPg(`await pool.query('SET search_path TO tenant_1')`), errors: ['session'] },
    { name: 'pg: a template', code: inPg('await pool.query(`SET search_path TO ${tenant}`)'), errors: ['session'] },
    { name: 'pg: LISTEN', code: inPg(`await pool.query('LISTEN jobs')`), errors: ['session'] },
    { name: 'pg: an advisory lock', code: inPg(`await pool.query('SELECT pg_advisory_lock($1)', [1])`), errors: ['session'] },
    { name: 'mysql2: GET_LOCK', code: `${MYSQL}await pool.execute('SELECT GET_LOCK(?, 10)', ['x'])`, errors: ['session'] },
    { name: 'a pool by its name', code: `import { pool } from './db.js'\nawait pool.query('BEGIN')`, errors: ['transaction'] },
    { name: 'Millpond behind the face of pg', code: `import { pgPool } from 'millpond/pg'\nconst pool = pgPool(pg, {})\nawait pool.query('BEGIN')`, errors: ['transaction'] },
  ],
  right: [
    { name: 'on a client', code: inPg(`const client = await pool.connect(); await client.query('BEGIN'); client.release()`) },
    { name: 'in one message', code: inPg(`await pool.query('BEGIN; UPDATE a SET b = 1; COMMIT')`) },
    { name: 'an update that sets', code: inPg(`await pool.query('UPDATE a SET b = 1')`) },
    { name: 'a lock of the transaction', code: inPg(`await pool.query('SELECT pg_advisory_xact_lock(1)')`) },
    { name: 'another thing with a query method', code: `import { connection } from './db.js'\nconnection.query('BEGIN')` },
    { name: 'a client of pg', code: `import pg from 'pg'\nconst client = new pg.Client()\nawait client.query('BEGIN')` },
  ],
}) // prettier-ignore

testRule('no-pool-in-transaction', {
  wrong: [
    { name: 'pg: between BEGIN and COMMIT', code: inPg(`const c = await pool.connect(); try { await c.query('BEGIN'); await pool.query('INSERT'); await c.query('COMMIT') } finally { c.release() }`), errors: ['pool'] },
    { name: 'mysql2: after beginTransaction', code: `${MYSQL}export async function f() { const c = await pool.getConnection(); try { await c.beginTransaction(); await pool.execute('x'); await c.commit() } finally { c.release() } }`, errors: ['pool'] },
    { name: 'Millpond: transaction', code: `import { pgPool } from 'millpond/pg'\nconst pool = pgPool(pg, {})\nexport const f = () => pool.transaction((client) => pool.query('x'))`, errors: ['callback'] },
    { name: 'Knex', code: `import knex from 'knex'\nconst db = knex({})\nexport const f = () => db.transaction(async (trx) => { await trx('a').insert({}); await db('b').insert({}) })`, errors: ['callback'] },
    { name: 'Prisma', code: `import { PrismaClient } from '@prisma/client'\nconst prisma = new PrismaClient()\nexport const f = () => prisma.$transaction(async (tx) => { await prisma.user.create({}) })`, errors: ['callback'] },
    { name: 'Drizzle', code: `import { db } from './db.js'\nexport const f = () => db.transaction(async (tx) => { await db.insert(users).values({}) })`, errors: ['callback'] },
    { name: 'Sequelize without its transaction', code: `import { sequelize } from './db.js'\nexport const f = () => sequelize.transaction(async (t) => { await sequelize.query('x') })`, errors: ['callback'] },
  ],
  right: [
    { name: 'pg: on the client', code: inPg(`const c = await pool.connect(); try { await c.query('BEGIN'); await c.query('INSERT'); await c.query('COMMIT') } finally { c.release() }`) },
    { name: 'pg: after the COMMIT', code: inPg(`const c = await pool.connect(); try { await c.query('BEGIN'); await c.query('COMMIT') } finally { c.release() } await pool.query('x')`) },
    { name: 'another pool', code: `${PG}const other = new pg.Pool()\nexport async function f() { const c = await pool.connect(); try { await c.query('BEGIN'); await other.query('x'); await c.query('COMMIT') } finally { c.release() } }` },
    { name: 'Knex: bound by transacting', code: `import knex from 'knex'\nconst db = knex({})\nexport const f = () => db.transaction(async (trx) => { await db('b').transacting(trx).insert({ at: db.fn.now() }) })` },
    { name: 'Sequelize: bound by an option', code: `import { sequelize } from './db.js'\nexport const f = () => sequelize.transaction(async (t) => { await sequelize.query('x', { transaction: t }) })` },
    { name: 'better-sqlite3', code: `import { db } from './db.js'\nexport const f = db.transaction((rows) => { for (const row of rows) db.prepare('x').run(row) })` },
    { name: 'a callback that gets nothing', code: `import { session } from './db.js'\nexport const f = () => session.withTransaction(async () => { await session.run() })` },
  ],
}) // prettier-ignore

testRule('no-nested-acquire', {
  wrong: [
    { name: 'pg: a second client', code: inPg(`const a = await pool.connect(); try { const b = await pool.connect(); b.release() } finally { a.release() }`), errors: ['nested'] },
    { name: 'pg: a query on the pool', code: inPg(`const a = await pool.connect(); try { await pool.query('x') } finally { a.release() }`), errors: ['nested'] },
    { name: 'mysql2', code: `${MYSQL}export async function f() { const a = await pool.getConnection(); try { await pool.query('x') } finally { a.release() } }`, errors: ['nested'] },
    { name: 'Millpond', code: `${MILLPOND}export async function f() { const a = await pool.acquire(); try { await pool.use((x) => x) } finally { a.release() } }`, errors: ['nested'] },
  ],
  right: [
    { name: 'after the release', code: inPg(`const a = await pool.connect(); a.release(); await pool.query('x')`) },
    { name: 'another pool', code: `${PG}const other = new pg.Pool()\nexport async function f() { const a = await pool.connect(); try { await other.query('x') } finally { a.release() } }` },
    { name: 'in a transaction, which is another rule', code: inPg(`const a = await pool.connect(); try { await a.query('BEGIN'); await pool.query('x'); await a.query('COMMIT') } finally { a.release() }`) },
  ],
}) // prettier-ignore

testRule('no-concurrent-queries', {
  wrong: [
    { name: 'a list', code: inPg(`const c = await pool.connect(); try { await Promise.all([c.query('a'), c.query('b')]) } finally { c.release() }`), errors: ['queued'] },
    { name: 'a map', code: inPg(`const c = await pool.connect(); try { await Promise.all(ids.map((id) => c.query('a', [id]))) } finally { c.release() }`), errors: ['queued'] },
  ],
  right: [
    { name: 'one after the other', code: inPg(`const c = await pool.connect(); try { await c.query('a'); await c.query('b') } finally { c.release() }`) },
    { name: 'on the pool', code: inPg(`await Promise.all([pool.query('a'), pool.query('b')])`) },
    { name: 'one query beside something else', code: inPg(`const c = await pool.connect(); try { await Promise.all([c.query('a'), sleep(1)]) } finally { c.release() }`) },
  ],
}) // prettier-ignore

testRule('no-masking-rollback', {
  wrong: [
    { name: 'pg', code: inPg(`const c = await pool.connect(); try { await c.query('BEGIN') } catch (e) { await c.query('ROLLBACK'); throw e } finally { c.release() }`), errors: [{ messageId: 'masks', suggestions: [{ messageId: 'catch', output: inPg(`const c = await pool.connect(); try { await c.query('BEGIN') } catch (e) { await c.query('ROLLBACK').catch(() => {}); throw e } finally { c.release() }`) }] }] },
    { name: 'mysql2', code: `export async function f(c) { try { await c.beginTransaction() } catch (e) { await c.rollback(); throw e } }`, errors: [{ messageId: 'masks', suggestions: 1 }] },
    { name: 'mongodb', code: `export async function f(session) { try { await g() } catch (e) { await session.abortTransaction(); throw e } }`, errors: [{ messageId: 'masks', suggestions: 1 }] },
  ],
  right: [
    { name: 'caught', code: `export async function f(c) { try { await g() } catch (e) { await c.query('ROLLBACK').catch(() => {}); throw e } }` },
    { name: 'in a try of its own', code: `export async function f(c) { try { await g() } catch (e) { try { await c.rollback() } catch {} throw e } }` },
    { name: 'nothing is thrown after it', code: `export async function f(c) { try { await g() } catch (e) { await c.rollback() } }` },
    { name: 'to a savepoint', code: `export async function f(c) { try { await g() } catch (e) { await c.query('ROLLBACK TO SAVEPOINT a'); throw e } }` },
  ],
}) // prettier-ignore
