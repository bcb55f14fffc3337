import genericPool from 'generic-pool'
import { Pool } from 'millpond'

/** A factory whose server is away, and which counts how often it is asked to connect. */
export function unreachable() {
  const factory = {
    attempts: 0,
    async create() {
      factory.attempts++
      await new Promise((resolve) => setTimeout(resolve, 1))
      throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:7000'), { code: 'ECONNREFUSED' })
    },
    async destroy() {},
  }
  return factory
}

export const before = (factory) => genericPool.createPool(factory, { max: 2, acquireTimeoutMillis: 500 })

export const after = (factory) =>
  new Pool({ kind: 'ledger', create: () => factory.create(), destroy: () => factory.destroy() }, {
    max: 2,
    acquireTimeoutMillis: 500,
  }) // prettier-ignore

/** One caller waits for half a second while the server is away. What is it told, and what did the server see of it? */
export async function askWhileAway(pool, factory) {
  let error
  try {
    await pool.acquire()
  } catch (thrown) {
    error = thrown
  }
  return { attempts: factory.attempts, told: error.message, cause: error.cause?.code }
}
