import { testRule } from './cases.ts'

const pg = (body: string): string =>
  `import pg from 'pg'\nconst pool = new pg.Pool()\nexport async function f(ok) {\n${body}\n}`
const mysql = (body: string): string =>
  `import mysql from 'mysql2/promise'\nconst pool = mysql.createPool({})\nexport async function f(ok) {\n${body}\n}`

testRule('require-release', {
  wrong: [
    { name: 'pg: never given back', code: pg(`const client = await pool.connect()\nawait client.query('x')`), errors: [{ messageId: 'never', line: 4 }] },
    {
      name: 'pg: given back only when nothing throws, with the wrapping suggested',
      code: pg(`  const client = await pool.connect()\n  await client.query('x')\n  client.release()`),
      errors: [
        {
          messageId: 'whenThrown',
          data: { name: 'client', line: 5, release: '`client.release()`' },
          suggestions: [
            {
              messageId: 'wrap',
              output: pg(
                `  const client = await pool.connect()\n  try {\n    await client.query('x')\n  } finally {\n    client.release()\n  }`,
              ),
            },
          ],
        },
      ],
    },
    {
      name: 'no wrapping where a name of the block is used behind the release',
      code: pg(`const client = await pool.connect()\nconst r = await client.query('x')\nclient.release()\nreturn r`),
      errors: [{ messageId: 'whenThrown', suggestions: [] }],
    },
    { name: 'an early return', code: pg(`const client = await pool.connect()\nif (!ok) return null\ntry { await client.query('x') } finally { client.release() }`), errors: [{ messageId: 'onReturn', data: { name: 'client', line: 5, release: '`client.release()`' } }] },
    { name: 'an early throw', code: pg(`const client = await pool.connect()\nif (!ok) throw new Error('no')\ntry { await client.query('x') } finally { client.release() }`), errors: ['onThrow'] },
    { name: 'a health check that loses its client when the query fails', code: `export async function healthy(pool) {\n  try {\n    const client = await pool.connect()\n    await client.query('SELECT 1')\n    client.release()\n    return true\n  } catch (error) {\n    return false\n  }\n}`, errors: [{ messageId: 'onReturn', data: { name: 'client', line: 8, release: '`client.release()`' } }] },
    { name: 'a catch block that forgets', code: pg(`const client = await pool.connect()\ntry { await client.query('x'); client.release() } catch (e) { console.log(e) }`), errors: ['onEnd'] },
    { name: 'a loop that goes on without', code: pg(`for (const id of ok) {\nconst client = await pool.connect()\nif (!id) continue\nclient.release()\n}`), errors: ['lost'] },
    { name: 'one case of a switch', code: pg(`const client = await pool.connect()\nswitch (ok) { case 1: client.release(); return 1; default: return 2 }`), errors: ['onReturn'] },
    { name: 'a callback that never calls done', code: `const { Pool } = require('pg')\nconst pool = new Pool()\npool.connect((err, client, done) => {\n  if (err) throw err\n  client.query('x', (err, res) => console.log(res))\n})`, errors: ['never'] },
    { name: 'an inner callback that returns early on an error', code: `const { Pool } = require('pg')\nconst pool = new Pool()\npool.connect((err, client, done) => {\n  if (err) throw err\n  client.query('x', (err, res) => {\n    if (err) return console.error(err)\n    done()\n  })\n})`, errors: [{ messageId: 'onReturn', data: { name: 'client', line: 6, release: '`done()`' } }] },
    { name: 'a then that never gives back', code: pg(`return pool.connect().then((client) => client.query('x'))`), errors: ['never'] },
    { name: 'mysql2: a rollback that throws', code: mysql(`const connection = await pool.getConnection()\ntry { await connection.beginTransaction(); await connection.commit() } catch (e) { await connection.rollback(); throw e }\nconnection.release()`), errors: ['onThrow'] },
    { name: 'mysql2: callbacks', code: `import mysql from 'mysql2'\nconst pool = mysql.createPool({})\nexport const find = (done) => pool.getConnection((err, connection) => {\n  if (err) return done(err)\n  connection.query('x', (err, rows) => done(err, rows))\n})`, errors: ['never'] },
    { name: 'generic-pool: never released', code: `import { createPool } from 'generic-pool'\nconst pool = createPool(factory, { max: 2 })\nexport async function f() { const thing = await pool.acquire(); thing.work() }`, errors: [{ messageId: 'never', data: { name: 'thing', release: '`pool.release(thing)`' } }] },
    { name: 'tarn', code: `import { Pool } from 'tarn'\nconst pool = new Pool({})\nexport async function f() { const thing = await pool.acquire().promise; await thing.work(); pool.release(thing) }`, errors: [{ messageId: 'whenThrown', suggestions: 1 }] },
    { name: 'Millpond: a lease', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport async function f() { const lease = await pool.acquire(); await lease.resource.work(); lease.release() }`, errors: [{ messageId: 'whenThrown', suggestions: 1 }] },
    { name: 'Millpond: tryAcquire', code: `import { pgPool } from 'millpond/pg'\nconst pool = pgPool(pg, {})\nexport async function f() { const lease = pool.tryAcquire(); if (!lease) return; if (lease.resource.busy) return; lease.release() }`, errors: ['onReturn'] },
    { name: 'a pool that is a field', code: `class Repository { constructor(pool) { this.pool = pool }\nasync find() { const client = await this.pool.connect(); const { rows } = await client.query('x'); client.release(); return rows } }`, errors: ['whenThrown'] },
    { name: 'TypeScript', code: `import type { Pool } from 'pg'\nexport async function f(dbPool: Pool): Promise<void> {\n  const client = await dbPool.connect()\n  await client.query<{ id: number }>('x')\n}`, errors: ['never'] },
    { name: 'handed on as a loan, and given back on one path only', code: pg(`const client = await pool.connect()\nif (await work(client)) client.release()`), errors: ['onEnd'] },
    { name: 'mongodb and undici stay out of it, tried in one file', code: `import { MongoClient } from 'mongodb'\nimport pg from 'pg'\nconst mongo = new MongoClient('x')\nconst pool = new pg.Pool()\nexport async function f() { await mongo.connect(); const c = await pool.connect(); await c.query('x') }`, errors: ['never'] },
  ],
  right: [
    { name: 'try … finally', code: pg(`const client = await pool.connect()\ntry { return await client.query('x') } finally { client.release() }`) },
    { name: 'borrowed inside of the try', code: pg(`let client\ntry { client = await pool.connect(); await client.query('x') } finally { client?.release() }`) },
    { name: 'asked for before', code: pg(`let client\ntry { client = await pool.connect(); await client.query('x') } finally { if (client) client.release() }`) },
    { name: 'asked for against null', code: pg(`let client = null\ntry { client = await pool.connect() } finally { if (client !== null) { client.release() } }`) },
    { name: 'given back in catch and in order', code: pg(`const client = await pool.connect()\ntry { await client.query('x'); client.release() } catch (e) { client.release(e); throw e }`) },
    { name: 'a flag that goes with it', code: pg(`let released = false\nconst client = await pool.connect()\ntry { await client.query(1); client.release(); released = true } finally { if (!released) client.release() }`) },
    { name: 'a connect that fails', code: pg(`let client\ntry { client = await pool.connect() } catch (e) { return null }\ntry { await client.query('x') } finally { client.release() }`) },
    { name: 'using', code: mysql(`using connection = await pool.getConnection()\nawait connection.query('x')`) },
    { name: 'returned', code: pg(`const client = await pool.connect()\nreturn client`) },
    { name: 'returned in an object', code: pg(`const client = await pool.connect()\nreturn { client }`) },
    { name: 'stored', code: pg(`const client = await pool.connect()\nthis.client = client`) },
    { name: 'handed over', code: pg(`const client = await pool.connect()\nreturn new Session(client)`) },
    { name: 'given back by a closure of its own', code: pg(`const client = await pool.connect()\nconst done = () => client.release()\ntry { await client.query(1) } finally { done() }`) },
    { name: 'given back when a stream ends', code: pg(`const client = await pool.connect()\nconst stream = client.query(new QueryStream('x'))\nstream.on('end', () => client.release())\nreturn stream`) },
    { name: 'given back in finally of a chain', code: pg(`return pool.connect().then((client) => client.query('x').finally(() => client.release()))`) },
    { name: 'given back inside of a promise', code: pg(`const client = await pool.connect()\nreturn new Promise((resolve, reject) => { client.query('x', (e, r) => { client.release(); if (e) reject(e); else resolve(r) }) })`) },
    { name: 'callbacks in order', code: `const { Pool } = require('pg')\nconst pool = new Pool()\npool.connect((err, client, done) => {\n  if (err) throw err\n  client.query('x', (err, res) => {\n    done()\n    if (err) return console.error(err)\n  })\n})` },
    { name: 'a loop with break and finally', code: pg(`for (const x of ok) { const client = await pool.connect(); try { if (x) break; await client.query(x) } finally { client.release() } }`) },
    { name: 'a loop that tries again', code: pg(`const client = await pool.connect()\nwhile (true) { try { await client.query(1); client.release(); return } catch (e) { if (e.fatal) { client.release(e); throw e } } }`) },
    { name: 'what cannot throw between', code: pg(`const client = await pool.connect()\nconsole.log('got one', Date.now())\ntry { await client.query('x') } finally { client.release() }`) },
    { name: 'a connection that listens', code: pg(`const client = await pool.connect()\nawait client.query('LISTEN jobs')\nclient.on('notification', ok)`) },
    { name: 'tryAcquire that found none', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport function f() { const lease = pool.tryAcquire(); if (lease === undefined) return; try { lease.resource.work() } finally { lease.release() } }` },
    { name: 'Millpond: use', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport const f = () => pool.use((thing) => thing.work())` },
    { name: 'generic-pool', code: `import { createPool } from 'generic-pool'\nconst pool = createPool(factory, { max: 2 })\nexport async function f() { const thing = await pool.acquire(); try { await thing.work() } finally { await pool.release(thing) } }` },
    { name: 'mysql2 callbacks', code: `import mysql from 'mysql2'\nconst pool = mysql.createPool({})\npool.getConnection((err, connection) => {\n  if (err) return\n  connection.query('x', () => connection.release())\n})` },
    { name: 'mysql: releaseConnection', code: `import mysql from 'mysql2'\nconst pool = mysql.createPool({})\npool.getConnection((err, connection) => {\n  if (err) return\n  connection.query('x', () => pool.releaseConnection(connection))\n})` },
    { name: 'a client of MongoDB is not borrowed', code: `import { MongoClient } from 'mongodb'\nconst client = new MongoClient('x')\nexport const f = async () => { const connected = await client.connect(); connected.db() }` },
    { name: 'the pool of mssql is opened by connect', code: `import sql from 'mssql'\nconst pool = new sql.ConnectionPool({})\nexport async function f() { const p = await pool.connect(); return p.query('x') }` },
    { name: 'a function that ends the process', code: pg(`const client = await pool.connect()\nif (!ok) process.exit(1)\nclient.release()`) },
    { name: 'a worker pool that is none of ours', code: `import { workers } from 'somewhere'\nexport async function f() { const slot = await workers.acquire(); slot.run() }` },
    { name: 'the means to give back handed to a stream', code: `import pg from 'pg'\nconst pool = new pg.Pool()\npool.connect((err, client, done) => {\n  if (err) throw err\n  const stream = client.query(new QueryStream('x'))\n  stream.on('end', done)\n})` },
    { name: 'the method that gives back handed on', code: pg(`const client = await pool.connect()\nreturn client.query('x').finally(client.release)`) },
    { name: 'a promise that is kept', code: `import { Pool } from 'tarn'\nconst pool = new Pool({})\nexport function f() { const pending = pool.acquire(); return { promise: pending.promise, cancel: () => pending.abort() } }` },
    { name: 'a lease that says it has ended', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport async function f() { const lease = await pool.acquire(); if (lease.released) return; lease.release() }` },
    { name: 'finally through a label', code: pg(`outer: for (const a of ok) { for (const b of a) { const client = await pool.connect(); try { if (b) continue outer; if (a) break outer } finally { client.release() } } }`) },
  ],
}) // prettier-ignore
