import { testRule } from './cases.ts'

const PG = `import pg from 'pg'\nconst pool = new pg.Pool()\n`
const inPg = (body: string, head = ''): string => `${head}${PG}export async function f() { ${body} }`
const held = (body: string): string => `const c = await pool.connect(); try { ${body} } finally { c.release() }`
const IOREDIS = `import Redis from 'ioredis'\nconst redis = new Redis()\n`
const NODE_REDIS = `import { createClient } from 'redis'\nconst client = createClient()\n`

testRule('no-await-in-held-connection', {
  wrong: [
    { name: 'pg: fetch', code: inPg(held(`await c.query('x'); await fetch('https://a'); await c.query('y')`)), errors: [{ messageId: 'held', data: { what: '`c` is held' } }] },
    { name: 'pg: in a transaction on the client', code: inPg(held(`await c.query('BEGIN'); const r = await fetch('https://a'); await c.query('x', [r.status]); await c.query('COMMIT')`)), errors: ['held'] },
    { name: 'pg: a timer', code: inPg(held(`await new Promise((resolve) => setTimeout(resolve, 1000))`)), errors: ['held'] },
    { name: 'pg: a timer of Node', code: inPg(held(`await setTimeout(1000)`), `import { setTimeout } from 'node:timers/promises'\n`), errors: ['held'] },
    { name: 'pg: sleep()', code: inPg(held(`await sleep(1000)`)), errors: ['held'] },
    { name: 'pg: all at once', code: inPg(held(`await Promise.all(urls.map((url) => fetch(url)))`)), errors: ['held'] },
    { name: 'pg: between two', code: inPg(held(`if (x) { await axios.post('https://a') }`), `import axios from 'axios'\n`), errors: ['held'] },
    { name: 'fetch, and what comes of it', code: inPg(held(`const user = await fetch('https://a').then((r) => r.json())`)), errors: ['held'] },
    { name: 'fetch on one of two paths', code: inPg(held(`await (x ? fetch('https://a') : undefined)`)), errors: ['held'] },
    { name: 'an instance of axios', code: inPg(held(`await api.get('/a')`), `import axios from 'axios'\nconst api = axios.create()\n`), errors: ['held'] },
    { name: 'got, required', code: inPg(held(`await got.post('https://a').json()`), `const got = require('got')\n`), errors: ['held'] },
    { name: 'undici', code: inPg(held(`const { body } = await request('https://a'); await body.dump()`), `import { request } from 'undici'\n`), errors: ['held'] },
    { name: 'a mail', code: inPg(held(`await mail.sendMail({})`), `import { createTransport } from 'nodemailer'\nconst mail = createTransport({})\n`), errors: ['held'] },
    { name: 'S3', code: inPg(held(`await s3.send(new PutObjectCommand({}))`), `import { S3Client, PutObjectCommand } from '@aws-sdk/client-s3'\nconst s3 = new S3Client({})\n`), errors: ['held'] },
    { name: 'mysql2', code: `import mysql from 'mysql2/promise'\nconst pool = mysql.createPool({})\nexport async function f() { const c = await pool.getConnection(); try { await fetch('https://a') } finally { c.release() } }`, errors: ['held'] },
    { name: 'Millpond: use', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport const f = () => pool.use(async (socket) => { await fetch('https://a') })`, errors: [{ messageId: 'held', data: { what: '`socket` is held' } }] },
    { name: 'Millpond: use, by a function that returns', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport const f = () => pool.use(() => fetch('https://a'))`, errors: [{ messageId: 'held', data: { what: 'it is held' } }] },
    { name: 'Millpond: transaction, returned', code: `import { pgPool } from 'millpond/pg'\nconst pool = pgPool(pg, {})\nexport const f = () => pool.transaction(async (client) => { await client.query('x'); return fetch('https://a') })`, errors: [{ messageId: 'held', data: { what: 'a transaction is open' } }] },
    { name: 'Millpond: using', code: `import { Pool } from 'millpond'\nconst pool = new Pool(factory)\nexport async function f() { using lease = await pool.acquire(); await fetch('https://a') }`, errors: [{ messageId: 'held', data: { what: '`lease` is held' } }] },
    { name: 'Prisma', code: `import { PrismaClient } from '@prisma/client'\nconst prisma = new PrismaClient()\nexport const f = () => prisma.$transaction(async (tx) => { await tx.user.create({}); await fetch('https://a') })`, errors: ['held'] },
    { name: 'mongodb', code: `export const f = (session) => session.withTransaction(async () => { await fetch('https://a') })`, errors: ['held'] },
    { name: 'a pool by its name', code: `import { pool } from './db.js'\nexport async function f() { const c = await pool.connect(); try { await c.query('x'); await fetch('https://a') } finally { c.release() } }`, errors: ['held'] },
  ],
  right: [
    { name: 'before', code: inPg(`await fetch('https://a'); ${held(`await c.query('x')`)}`) },
    { name: 'after', code: inPg(`${held(`await c.query('x')`)} await fetch('https://a')`) },
    { name: 'after the release in the same block', code: inPg(`const c = await pool.connect(); c.release(); await fetch('https://a')`) },
    { name: 'on the pool', code: inPg(`await pool.query('x'); await fetch('https://a')`) },
    { name: 'queries', code: inPg(held(`await c.query('x'); await Promise.all(ids.map((id) => c.query('y', [id])))`)) },
    { name: 'started, and not waited for', code: inPg(held(`void fetch('https://a'); await c.query('x')`)) },
    { name: 'a fetch of one’s own', code: `${PG}const fetch = async () => 1\nexport async function f() { ${held('await fetch()')} }` },
    { name: 'another path', code: inPg(`let c; if (x) { c = await pool.connect(); c.release(); } else { await fetch('https://a') }`) },
    { name: 'a connection that listens', code: inPg(`const c = await pool.connect(); await c.query('LISTEN jobs'); for (;;) await sleep(1000)`) },
    { name: 'a script', code: `${PG}const c = await pool.connect()\nawait fetch('https://a')\nc.release()` },
    { name: 'express, which uses', code: `import express from 'express'\nconst app = express()\napp.use(async (req, res) => { await fetch('https://a') })` },
    { name: 'a function that is called later', code: inPg(held(`jobs.push(async () => { await fetch('https://a') }); await c.query('x')`)) },
    { name: 'a promise that is no timer', code: inPg(held(`await new Promise((resolve) => stream.on('end', resolve))`)) },
    { name: 'something cheap among the parameters', code: inPg(held(`await c.query('x', [axios.isAxiosError(y), fetch.name])`), `import axios from 'axios'\n`) },
    { name: 'Redis meanwhile', code: inPg(held(`await redis.get('x')`)) },
  ],
}) // prettier-ignore

testRule('no-shared-blocking-redis', {
  wrong: [
    { name: 'ioredis: others use it', code: `${IOREDIS}export const next = () => redis.blpop('jobs', 0)\nexport const get = (key) => redis.get(key)`, errors: [{ messageId: 'blocks', data: { command: 'blpop', who: 'line 4 sends its own', name: 'redis' } }] },
    { name: 'ioredis: exported', code: `import Redis from 'ioredis'\nexport const redis = new Redis()\nasync function next() { return await redis.brpop('jobs', 5) }`, errors: [{ messageId: 'blocks', data: { command: 'brpop', who: 'other modules send theirs', name: 'redis' } }] },
    { name: 'ioredis: exported below', code: `${IOREDIS}async function next() { return await redis.brpop('jobs', 5) }\nexport { redis, next }`, errors: ['blocks'] },
    { name: 'ioredis: CommonJS', code: `const Redis = require('ioredis')\nconst redis = new Redis()\nasync function next() { return await redis.bzpopmin('jobs', 5) }\nmodule.exports = { redis }`, errors: ['blocks'] },
    { name: 'ioredis: handed on', code: `${IOREDIS}const cache = new Cache(redis)\nasync function next() { return await redis.blmove('a', 'b', 'LEFT', 'RIGHT', 0) }`, errors: ['blocks'] },
    { name: 'ioredis: a stream', code: `${IOREDIS}export const next = () => redis.xreadgroup('GROUP', 'g', 'c', 'BLOCK', 5000, 'STREAMS', 's', '>')\nexport const add = () => redis.xadd('s', '*', 'a', 1)`, errors: ['blocks'] },
    { name: 'ioredis: call', code: `${IOREDIS}export const next = () => redis.call('BLPOP', 'jobs', 0)\nexport const get = (key) => redis.get(key)`, errors: ['blocks'] },
    { name: 'ioredis: a cluster', code: `import { Cluster } from 'ioredis'\nconst redis = new Cluster([])\nexport const next = () => redis.blpop('jobs', 0)\nexport const get = (key) => redis.get(key)`, errors: ['blocks'] },
    { name: 'node-redis', code: `${NODE_REDIS}export const next = () => client.blPop('jobs', 0)\nexport const get = (key) => client.get(key)`, errors: ['blocks'] },
    { name: 'node-redis: connected in one line', code: `import { createClient } from 'redis'\nconst client = await createClient().on('error', report).connect()\nexport const next = () => client.blPop('jobs', 0)\nexport const get = (key) => client.get(key)`, errors: ['blocks'] },
    { name: 'node-redis: a stream', code: `${NODE_REDIS}export const next = () => client.xRead({ key: 's', id: '$' }, { BLOCK: 0 })\nexport const get = (key) => client.get(key)`, errors: ['blocks'] },
    { name: 'node-redis: sendCommand', code: `${NODE_REDIS}export const next = () => client.sendCommand(['BLPOP', 'jobs', '0'])\nexport const get = (key) => client.get(key)`, errors: ['blocks'] },
    { name: 'from another module', code: `import { redis } from './redis.js'\nexport const next = () => redis.blpop('jobs', 0)`, errors: ['blocks'] },
    { name: 'a field', code: `import Redis from 'ioredis'\nexport class Queue { redis = new Redis()\nnext() { return this.redis.blpop('jobs', 0) }\nadd(job) { return this.redis.rpush('jobs', job) } }`, errors: ['blocks'] },
  ],
  right: [
    { name: 'one of its own', code: `${IOREDIS}const blocking = redis.duplicate()\nexport const next = () => blocking.blpop('jobs', 0)\nexport const get = (key) => redis.get(key)` },
    { name: 'a consumer that has nothing else to do', code: `${IOREDIS}redis.on('error', report)\nfor (;;) { await handle(await redis.blpop('jobs', 0)) }` },
    { name: 'what it got, it works off in turn', code: `${IOREDIS}async function consume() { for (;;) { const job = await redis.blpop('jobs', 0); await redis.lpush('done', job) } }\nconsume()` },
    { name: 'two of them', code: `${IOREDIS}export const a = () => redis.blpop('a', 0)\nexport const b = () => redis.blpop('b', 0)` },
    { name: 'a stream without BLOCK', code: `${IOREDIS}export const next = () => redis.xread('STREAMS', 's', '0')\nexport const get = (key) => redis.get(key)` },
    { name: 'in MULTI, where nothing blocks', code: `${IOREDIS}export const next = () => redis.multi().blpop('jobs', 0).exec()\nexport const get = (key) => redis.get(key)` },
    { name: 'a pool of node-redis', code: `import { createClientPool } from 'redis'\nconst pool = createClientPool()\nexport const next = () => pool.blPop('jobs', 0)\nexport const get = (key) => pool.get(key)` },
    { name: 'Millpond, which sends it where it belongs', code: `import { redisPool } from 'millpond/redis'\nconst redis = redisPool(Redis, {})\nexport const next = () => redis.blpop('jobs', 0)\nexport const get = (key) => redis.get(key)` },
    { name: 'a parameter may be somebody’s own', code: `export const next = (redis) => redis.blpop('jobs', 0)` },
    { name: 'a worker’s loop on the client of another module', code: `import redis from './redis.js'\nasync function main() { while (running) { const job = await redis.blpop('jobs', 0); await work(job) } }\nmain()` },
    { name: 'another thing from another module', code: `import { queue } from './queue.js'\nexport const next = () => queue.blpop('jobs', 0)` },
  ],
}) // prettier-ignore
