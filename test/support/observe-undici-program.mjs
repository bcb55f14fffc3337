/**
 * `node observe-undici-program.mjs <undici> <millpond>`: views on dispatchers of another undici than the one that is
 * installed here, and on the copy behind the global `fetch` of the Node that it runs on; says "all well" when it is.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [, , undiciFolder = '', door = ''] = process.argv
const undici = createRequire(import.meta.url)(undiciFolder)
const { observe } = await import(door)

const sockets = new Set()
const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://here')
  const answer = () => {
    if (url.pathname === '/close') response.setHeader('connection', 'close')
    response.end('answer')
  }
  if (url.pathname === '/never') return
  request.resume().on('end', () => setTimeout(answer, Number(url.searchParams.get('millis') ?? 0)))
})
let opened = 0
server.on('connection', (socket) => {
  opened++
  sockets.add(socket.once('close', () => sockets.delete(socket)))
})
server.keepAliveTimeout = 0
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`

const keysOf = (dispatcher) => Reflect.ownKeys(dispatcher).map(String).sort().join()
const sumOf = (of, stats) => Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0) + of
async function until(condition) {
  for (let looks = 0; !condition(); looks++) {
    assert.ok(looks < 1_000, 'not in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const makers = {
  Agent: () => new undici.Agent({ connections: 2 }),
  Pool: () => new undici.Pool(origin, { connections: 2 }),
  Client: () => new undici.Client(origin),
  BalancedPool: () => new undici.BalancedPool([origin], { connections: 2 }),
}
for (const [kind, make] of Object.entries(makers)) {
  const dispatcher = make()
  const get = async (path) => (await undici.request(`${origin}${path}`, { dispatcher })).body.text()
  const fetched = async (path) => (await undici.fetch(`${origin}${path}`, { dispatcher })).text()
  // undici makes some of its keys when it first has to wait.
  await Promise.all([get('/'), get('/'), get('/')])
  const before = keysOf(dispatcher)
  const openedBefore = opened - sockets.size
  const view = observe(dispatcher)
  assert.equal(view.stats().total, sockets.size, kind)
  const all = Promise.all([get('/?millis=40'), get('/?millis=40'), fetched('/?millis=40'), get('/close'), get('/')])
  const most = kind === 'Client' ? 1 : 2
  await until(() => view.stats().used === most)
  assert.equal(view.stats().waiting, 5 - most, kind)
  await all
  await until(() => view.stats().used === 0 && view.stats().total === sockets.size)
  const stats = view.stats()
  assert.equal(stats.requested, 5, kind)
  assert.equal(stats.acquired, 5, kind)
  assert.equal(stats.created, sumOf(stats.total, stats), kind)
  assert.equal(stats.created, opened - openedBefore, kind)
  assert.equal((await view.health()).status, 'pass', kind)
  assert.equal(Object.values(view.origins()).length > 0, true)

  const abort = new AbortController()
  const given = get('/never', { signal: abort.signal }).catch((error) => error)
  await until(() => view.stats().used === 1)
  view.detach()
  assert.equal(keysOf(dispatcher), before, kind)
  await dispatcher.destroy()
  assert.ok((await given) instanceof Error)
  await until(() => sockets.size === 0)
}

// An owner who ends it, and nobody who listens.
const agent = new undici.Agent()
const ended = observe(agent)
await assert.rejects(undici.request('http://127.0.0.1:1/', { dispatcher: agent }), { code: 'ECONNREFUSED' })
assert.equal(ended.state, 'paused')
assert.deepEqual([ended.stats().failed, ended.stats().createErrors, ended.stats().total], [1, 1, 0])
assert.equal((await ended.health()).status, 'fail')
await agent.close()
assert.equal(ended.state, 'closed')

// What Node brings, or what was set in its place.
const outgoing = observe(fetch)
const count = outgoing.stats().acquired
await Promise.all([1, 2, 3].map(async () => (await fetch(`${origin}/`)).text()))
assert.equal(outgoing.stats().acquired - count, 3)
assert.equal(outgoing.origins()[origin].acquired, 3)
outgoing.detach()

server.close()
server.closeAllConnections()
console.log('all well')
