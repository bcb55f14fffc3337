/**
 * `node undici-program.mjs <undici> <millpond>`: the pool on another undici than the one that is installed here, which
 * may need another Node; says "all well" when it is.
 */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [, , undiciFolder = '', doors = ''] = process.argv
const undici = createRequire(import.meta.url)(undiciFolder)
const { httpPool } = await import(doors)
const seen = new Map()

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://here')
  const id = request.headers['x-request-id']
  seen.set(id, (seen.get(id) ?? 0) + 1)
  let body = ''
  for await (const chunk of request) body += chunk
  if (url.pathname === '/slow') await new Promise((resolve) => setTimeout(resolve, 600))
  if (url.pathname === '/never') return
  if (url.pathname === '/fails' && seen.get(id) < 3) response.statusCode = 503
  if (url.pathname === '/close') response.once('finish', () => request.socket.resetAndDestroy())
  if (url.pathname === '/big') return response.end(Buffer.alloc(2_000_000))
  if (url.pathname === '/moved') return response.writeHead(302, { location: '/echo' }).end()
  response.end(JSON.stringify({ method: request.method, body }))
})
server.keepAliveTimeout = 0
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`
const made = []
const pool = (options) => {
  made.push(httpPool(undici, { origin, ...options }))
  return made.at(-1)
}
const get = async (on, path, init) => (await on.request(path, init)).body.text()

// Requests, fetch with a redirect, undici's functions with the dispatcher, interceptors.
const plain = pool({ max: 2, interceptors: [undici.interceptors.responseError()] })
assert.equal(JSON.parse(await get(plain, '/echo', { method: 'POST', body: 'hello' })).body, 'hello')
assert.equal(JSON.parse(await (await plain.fetch('/moved')).text()).method, 'GET')
const { body } = await undici.request(`${origin}/echo`, { dispatcher: plain.dispatcher })
assert.equal(JSON.parse(await body.text()).method, 'GET')
await assert.rejects(get(plain, '/fails', { headers: { 'x-request-id': 'intercepted' } }), Error)
assert.equal(plain.stats().used, 0)

// The queue: a deadline, and an abort that is heard.
const small = pool({ max: 1, acquireTimeoutMillis: 60 })
const held = get(small, '/slow')
await assert.rejects(small.request('/echo'), { code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
await held
const patient = pool({ max: 1 })
const busy = get(patient, '/slow')
const reason = new Error('changed my mind')
const abort = new AbortController()
const waiting = [patient.request('/echo', { signal: abort.signal }), patient.fetch('/echo', { signal: abort.signal })]
setTimeout(() => abort.abort(reason), 20)
for (const each of await Promise.allSettled(waiting)) assert.equal(each.reason, reason)
await busy
await assert.rejects(patient.request('/never', { timeoutMillis: 50 }), { name: 'TimeoutError' })

// The async context of who waited, also for who traces.
const storage = new AsyncLocalStorage()
const traced = []
subscribe('undici:request:create', () => traced.push(storage.getStore()))
const contexts = [1, 2, 3].map((number) =>
  storage.run(number, async () => {
    await get(patient, '/echo')
    return storage.getStore()
  }),
)
assert.deepEqual(await Promise.all(contexts), [1, 2, 3])
assert.deepEqual(traced, [1, 2, 3])

// Unread bodies, by request and by fetch.
const forgetful = pool({ max: 1, bodyTimeoutMillis: 100 })
await forgetful.request('/big')
assert.equal(JSON.parse(await get(forgetful, '/echo')).method, 'GET')
const response = await forgetful.fetch('/big')
assert.equal(JSON.parse(await get(forgetful, '/echo')).method, 'GET')
assert.equal(forgetful.origins()[origin].unreadBodies, 2)
assert.ok(response)

// Closed connections cost no GET, and no POST is sent twice.
const closing = pool({ max: 3 })
await Promise.all(Array.from({ length: 60 }, () => get(closing, '/close')))
for (let count = 0; count < 10; count++) {
  await get(closing, '/close', { method: 'POST', body: 'x', headers: { 'x-request-id': `post ${count}` } }).catch(
    () => 0,
  )
}
for (const [id, count] of seen) if (String(id).startsWith('post')) assert.equal(count, 1)

// Retries.
const retrying = pool({ retry: { baseMillis: 5 } })
assert.equal((await retrying.request('/fails', { headers: { 'x-request-id': 'repeated' } })).statusCode, 200)
assert.equal(seen.get('repeated'), 3)

// A server that is down.
const down = httpPool(undici, { origin: 'http://127.0.0.1:1' })
await assert.rejects(down.request('/'), { code: 'ECONNREFUSED' })
await down.close()

await Promise.all(made.map((each) => each.close({ timeoutMillis: 1 })))
server.close()
server.closeAllConnections()
console.log('all well')
