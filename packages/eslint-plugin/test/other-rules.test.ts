import { testRule } from './cases.ts'

const PG = `import pg from 'pg'\nconst pool = new pg.Pool()\n`

testRule('no-exit-before-close', {
  wrong: [
    { name: 'not awaited', code: `${PG}process.on('SIGTERM', () => { pool.end(); process.exit(0) })`, errors: [{ messageId: 'notAwaited', data: { close: 'pool.end()' } }] },
    { name: 'not closed', code: `${PG}process.on('SIGTERM', () => { process.exit(0) })`, errors: ['notClosed'] },
    { name: 'not closed, with a code, in a signal handler', code: `${PG}process.on('SIGTERM', () => process.exit(143))`, errors: ['notClosed'] },
    { name: 'at the end of a script', code: `${PG}await pool.query('x')\nprocess.exit()`, errors: ['notClosed'] },
    { name: 'grpc', code: `import grpc from '@grpc/grpc-js'\nconst client = new Users('a', grpc.credentials.createInsecure())\nserver.close()\nprocess.exit(0)`, errors: ['notAwaited'] },
  ],
  right: [
    { name: 'awaited', code: `${PG}process.on('SIGTERM', async () => { await pool.end(); process.exit(0) })` },
    { name: 'then', code: `${PG}process.on('SIGTERM', () => { pool.end().then(() => process.exit(0)) })` },
    { name: 'finally of the whole', code: `${PG}async function main() { try { await work() } finally { await pool.end() } }\nmain().finally(() => process.exit())` },
    { name: 'a callback', code: `${PG}process.on('SIGTERM', () => { pool.end(() => process.exit(0)) })` },
    { name: 'a failure at the start', code: `${PG}main().catch((error) => { console.error(error); process.exit(1) })` },
    { name: 'a function that closes', code: `${PG}async function shutdown() { await pool.end() }\nprocess.on('SIGTERM', async () => { await shutdown(); process.exit(0) })` },
    { name: 'no pool in the file', code: `process.exit(0)` },
    { name: 'allSettled', code: `${PG}process.on('SIGTERM', async () => { await Promise.allSettled([pool.end()]); process.exit(0) })` },
  ],
}) // prettier-ignore

testRule('require-sigterm', {
  wrong: [
    { name: 'a closure', code: `process.on('SIGINT', async () => { await pool.end(); process.exit(0) })`, errors: ['missing'] },
    { name: 'a function, with the other signal suggested', code: `async function stop() { await pool.end() }\nprocess.once('SIGINT', stop)`, errors: [{ messageId: 'missing', suggestions: [{ messageId: 'both', output: `async function stop() { await pool.end() }\nprocess.once('SIGINT', stop)\nprocess.once('SIGTERM', stop)` }] }] },
    { name: 'mongoose', code: `process.on('SIGINT', async () => { await mongoose.connection.close() })`, errors: ['missing'] },
  ],
  right: [
    { name: 'both', code: `process.on('SIGINT', () => pool.end())\nprocess.on('SIGTERM', () => pool.end())` },
    { name: 'a loop over both', code: `for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => pool.end())` },
    { name: 'nothing is closed', code: `process.on('SIGINT', () => { console.log('again to quit') })` },
    { name: 'SIGTERM only', code: `process.on('SIGTERM', () => pool.end())` },
  ],
}) // prettier-ignore

testRule('no-private-driver-fields', {
  wrong: [
    { name: 'mysql2', code: `console.log(pool._allConnections.length, pool._freeConnections.length)`, errors: ['private', 'private'] },
    { name: 'pg', code: `${PG}console.log(pool._clients.length, pool._idle.length, pool._pendingQueue.length)`, errors: ['private', 'private', 'private'] },
    { name: 'mongodb', code: `console.log(client.topology.s.pool.totalConnectionCount)`, errors: ["private"] },
    { name: 'ioredis', code: `import Redis from 'ioredis'\nconst redis = new Redis()\nconsole.log(redis.commandQueue.length)`, errors: ['private'] },
  ],
  right: [
    { name: 'pg', code: `${PG}console.log(pool.totalCount, pool.idleCount, pool.waitingCount)` },
    { name: 'one’s own', code: `class Pool { get size() { return this._clients.length + this._idle.length } }` },
    { name: 'the driver itself', code: `export const retries = (topology) => topology.s.options.retryReads` },
    { name: 'some other thing', code: `console.log(server._clients.length)` },
  ],
}) // prettier-ignore

testRule('no-percent-comparison', {
  wrong: [
    { name: 'a member of what a function returns', code: `function metrics(pool) { return { utilization: (pool.used / pool.total * 100).toFixed(2) + '%' } }\nconst m = metrics(pool)\nif (m.utilization > 80) warn()`, errors: ['never'] },
    { name: 'a template', code: 'const used = `${x}%`\nif (used >= 80) warn()', errors: ['never'] },
    { name: 'the other way round', code: 'const used = `${x}%`\nif (80 < used) warn()', errors: ['never'] },
    { name: 'a member of a constant', code: `const m = { used: x + '%' }\nif (m.used > 80) warn()`, errors: ['never'] },
  ],
  right: [
    { name: 'a number', code: `const used = x / y * 100\nif (used > 80) warn(used + '%')` },
    { name: 'a text without', code: `const used = (x / y).toFixed(2)\nif (used > 80) warn()` },
    { name: 'texts', code: `const used = x + '%'\nif (used > '80%') warn()` },
  ],
}) // prettier-ignore

testRule('no-unread-body', {
  wrong: [
    { name: 'undici: destructured without', code: `import { request } from 'undici'\nexport async function f() { const { statusCode } = await request('x'); return statusCode }`, errors: ['never'] },
    { name: 'undici: never read', code: `import { request } from 'undici'\nexport async function f() { const response = await request('x'); return response.statusCode }`, errors: ['never'] },
    { name: 'undici: a body that nobody takes', code: `import { request } from 'undici'\nexport async function f() { const { statusCode, body } = await request('x'); return statusCode }`, errors: ['never'] },
    { name: 'undici: a path without', code: `import { request } from 'undici'\nexport async function f() {\n  const { statusCode, body } = await request('x')\n  if (statusCode !== 200) throw new Error('no')\n  return body.json()\n}`, errors: [{ messageId: 'onPath', data: { line: 4, mend: 'Call \`await body.dump()\`.' } }] },
    { name: 'undici: a pool', code: `import { Pool } from 'undici'\nconst pool = new Pool('http://a')\nexport async function f() { const { headers } = await pool.request({ path: '/' }); return headers }`, errors: ['never'] },
    { name: 'fetch: only its status', code: `export async function up(url) { const response = await fetch(url); return response.ok }`, errors: ['never'] },
    { name: 'fetch: chained', code: `export const up = async (url) => (await fetch(url)).status === 200`, errors: ['never'] },
    { name: 'fetch: dropped', code: `export async function ping(url) { await fetch(url) }`, errors: ['never'] },
    { name: 'fetch: every path, when asked', code: `export async function f(url) {\n  const response = await fetch(url)\n  if (!response.ok) throw new Error('no')\n  return response.json()\n}`, options: [{ everyPath: true }], errors: ['onPath'] },
    { name: 'http.get', code: `import http from 'node:http'\nhttp.get('http://a', (res) => { console.log(res.statusCode) })`, errors: ['never'] },
    { name: 'Millpond', code: `import { httpPool } from 'millpond/http'\nconst pool = httpPool(undici, {})\nexport async function up() { const r = await pool.fetch('x'); return r.ok }`, errors: ['never'] },
  ],
  right: [
    { name: 'undici: read', code: `import { request } from 'undici'\nexport async function f() { const { statusCode, body } = await request('x'); if (statusCode !== 200) { await body.dump(); throw new Error('no') } return body.json() }` },
    { name: 'fetch: json taken out', code: `export async function f(url) { const { status, json } = await fetch(url); return status === 200 ? json() : undefined }` },
    { name: 'undici: HEAD has none', code: `import { request } from 'undici'\nexport async function f() { const { statusCode } = await request('x', { method: 'HEAD' }); return statusCode }` },
    { name: 'fetch: read', code: `export async function f(url) { const response = await fetch(url); if (!response.ok) throw new Error('no'); return response.json() }` },
    { name: 'fetch: handed on', code: `export async function f(url) { const response = await fetch(url); return check(response) }` },
    { name: 'fetch: returned', code: `export const f = async (url) => { return await fetch(url) }` },
    { name: 'fetch: cancelled', code: `export async function f(url) { const response = await fetch(url); await response.body?.cancel() }` },
    { name: 'a fetch of one’s own', code: `import { fetch } from './fetch.js'\nexport async function f() { const { ok } = await fetch('x'); return ok }` },
    { name: 'http.get', code: `import http from 'node:http'\nhttp.get('http://a', (res) => { res.resume() })` },
    { name: 'http.get with data', code: `import { get } from 'https'\nget('https://a', (res) => { res.on('data', f) })` },
  ],
}) // prettier-ignore
