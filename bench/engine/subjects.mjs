/**
 * The pools of the Node field behind one small surface, without a server: what they lend costs nothing to open.
 *
 * A subject has `acquire()` (a promise) with `release(lease)`, or `acquireWith(callback)` in the callback form; and
 * where it can: `timeoutMillis` honoured by `acquire`, `cancellable()` giving `{ promise, cancel }`.
 */
import { EventEmitter } from 'node:events'
import { once } from 'node:events'
import { createServer } from 'node:net'

export const RESOURCES = 10

/** @typedef {{ timeoutMillis?: number }} Settings */

export const SUBJECTS = {
  /** No pool at all: what the loops of the scenarios cost by themselves. */
  async harness() {
    const lease = { release() {} }
    return {
      acquire: () => Promise.resolve(lease),
      release: (each) => each.release(),
      /** What the platform's own way to cancel costs, with nothing behind it. */
      cancellable() {
        const abort = new AbortController()
        const promise = new Promise((_resolve, reject) => {
          abort.signal.addEventListener('abort', () => reject(abort.signal.reason))
        })
        return { promise, cancel: () => abort.abort() }
      },
    }
  },

  async 'harness (callback)'() {
    const lease = { release() {} }
    return { acquireWith: (callback) => callback(null, lease), release: (each) => each.release() }
  },

  /** What a safe lease must cost at least: an array as a stack, a promise, an object that ends once. */
  async floor() {
    const free = Array.from({ length: RESOURCES }, () => ({}))
    class Lease {
      #resource
      constructor(resource) {
        this.#resource = resource
      }
      get resource() {
        return this.#resource
      }
      release() {
        free.push(this.#resource)
        this.#resource = undefined
      }
    }
    return { acquire: () => Promise.resolve(new Lease(free.pop())), release: (lease) => lease.release() }
  },

  async millpond({ timeoutMillis = 30_000 } = {}) {
    const { Pool } = await import(new URL('../../dist/index.js', import.meta.url).href)
    const factory = { kind: 'bench', create: async () => ({}), validate: async () => {}, destroy() {} }
    const pool = new Pool(factory, { max: RESOURCES, maxWaiting: 1_000_000, acquireTimeoutMillis: timeoutMillis })
    return {
      acquire: () => pool.acquire(),
      release: (lease) => lease.release(),
      cancellable() {
        const abort = new AbortController()
        return { promise: pool.acquire({ signal: abort.signal }), cancel: () => abort.abort() }
      },
    }
  },

  async 'generic-pool'({ timeoutMillis } = {}) {
    const { default: generic } = await import('generic-pool')
    const pool = generic.createPool(
      { create: async () => ({}), destroy: async () => {} },
      { max: RESOURCES, ...(timeoutMillis === undefined ? {} : { acquireTimeoutMillis: timeoutMillis }) },
    )
    return { acquire: () => pool.acquire(), release: (resource) => void pool.release(resource) }
  },

  async tarn({ timeoutMillis = 30_000 } = {}) {
    const { Pool } = await import('tarn')
    const pool = new Pool({
      create: async () => ({}),
      destroy() {},
      min: 0,
      max: RESOURCES,
      acquireTimeoutMillis: timeoutMillis,
    })
    return {
      acquire: () => pool.acquire().promise,
      release: (resource) => pool.release(resource),
      cancellable() {
        const pending = pool.acquire()
        return { promise: pending.promise, cancel: () => pending.abort() }
      },
    }
  },

  async 'lightning-pool'({ timeoutMillis } = {}) {
    const { Pool } = await import('lightning-pool')
    const pool = new Pool(
      { create: async () => ({}), destroy: async () => {} },
      {
        max: RESOURCES,
        maxQueue: 1_000_000,
        ...(timeoutMillis === undefined ? {} : { acquireTimeoutMillis: timeoutMillis }),
      },
    )
    return { acquire: () => pool.acquire(), release: (resource) => pool.release(resource) }
  },

  async 'pg-pool'({ timeoutMillis } = {}) {
    const { default: Pool } = await import('pg-pool')
    class Client extends EventEmitter {
      _queryable = true
      connect(callback) {
        setImmediate(callback)
      }
      end(callback) {
        callback?.()
      }
      ref() {}
      unref() {}
    }
    const pool = new Pool({
      Client,
      max: RESOURCES,
      ...(timeoutMillis === undefined ? {} : { connectionTimeoutMillis: timeoutMillis }),
    })
    return { acquire: () => pool.connect(), release: (client) => client.release() }
  },

  async 'mysql2 (promise)'() {
    const pool = await mysqlPool()
    const promises = pool.promise()
    return { acquire: () => promises.getConnection(), release: (connection) => connection.release() }
  },

  async 'mysql2 (callback)'() {
    const pool = await mysqlPool()
    return {
      acquireWith: (callback) => pool.getConnection(callback),
      release: (connection) => connection.release(),
      acquire: () =>
        new Promise((resolve, reject) => pool.getConnection((error, lent) => (error ? reject(error) : resolve(lent)))),
    }
  },

  /** It has no acquire; a borrower's callback that ends when the borrower says so is the nearest. */
  async 'node-redis'({ timeoutMillis } = {}) {
    const { createClientPool } = await import('@redis/client')
    const port = await agreeableRedis()
    const pool = createClientPool(
      { socket: { port, host: '127.0.0.1' }, disableClientInfo: true },
      { minimum: RESOURCES, maximum: RESOURCES, acquireTimeout: timeoutMillis ?? 30_000 },
    )
    pool.on('error', () => {})
    await pool.connect()
    return {
      acquire: () =>
        new Promise((resolve, reject) => {
          pool.execute(() => new Promise((giveBack) => resolve(giveBack))).catch(reject)
        }),
      release: (giveBack) => giveBack(),
    }
  },
}

/** mysql2's pool opens its own sockets, so it gets a server: mysql2's own, in this process, which only greets. */
async function mysqlPool() {
  const { default: mysql } = await import('mysql2')
  const server = mysql.createServer()
  server.on('connection', (connection) => {
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.0.0',
      connectionId: 1,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: 0xffffff ^ 0x800,
    })
    connection.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server._server, 'listening')
  const { port } = server._server.address()
  return mysql.createPool({ host: '127.0.0.1', port, user: 'bench', connectionLimit: RESOURCES, idleTimeout: 600_000 })
}

/** node-redis connects for real, so it gets a server that agrees to everything. */
async function agreeableRedis() {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const commands = data.toString('latin1').match(/^\*\d+\r$/gm)?.length ?? 0
      socket.write('+OK\r\n'.repeat(commands))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}
