import { inspect } from 'node:util'
import { PoolError, type LeaseReleasedError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import type { DriverClient } from './driver.ts'
import type { Method } from './face-host.ts'

/** A connection that is lent. */
export interface Loan<C> {
  /** Stands for the connection while it is lent, and refuses everything afterwards. */
  readonly leased: C
  /** Ends it, and takes off the listeners that the borrower left behind. */
  readonly finish: () => void
}

/** The drivers' names for the end of a connection. For a borrower they end the loan, in the driver's own shape. */
const ENDS: Readonly<Record<string, 'promise' | 'nothing'>> = {
  quit: 'promise',
  QUIT: 'promise',
  close: 'promise',
  disconnect: 'nothing',
  destroy: 'nothing',
  end: 'nothing',
}

/** Listeners that a borrower leaves behind are taken off with the end of the loan. */
const ADDS = new Set(['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'])

/**
 * Stands for a connection during one lease: everything goes to the driver's own client while the lease lasts, and
 * nothing afterwards. What the driver derives from a client (`withTypeMapping`, a pipeline) keeps to the real client.
 *
 * @param whenEnded - called when the borrower ends the loan by the driver's own name for ending a connection
 */
export function lend<C extends DriverClient>(
  client: C,
  lease: Lease<DriverClient>,
  pool: string,
  whenEnded?: () => Promise<void>,
): Loan<C> {
  const listeners: [event: string | symbol, listener: (...args: unknown[]) => void][] = []
  const methods = new Map<PropertyKey, Method>()
  let isFinished = false

  const isOver = (): boolean => isFinished || lease.released
  const end = async (): Promise<void> => {
    if (isOver()) return
    isFinished = true
    await whenEnded?.()
  }

  const method = (name: PropertyKey, original: Method): Method => {
    const known = methods.get(name)
    if (known !== undefined) return known
    const ending = typeof name === 'string' ? ENDS[name] : undefined
    const bound: Method = (...args) => {
      if (ending !== undefined) {
        const ended = end()
        return ending === 'promise' ? ended.then(() => 'OK') : undefined
      }
      if (isOver()) return refuse(overError(lease, pool), args)
      if (name === 'removeAllListeners') {
        // Those of the borrower: the pool's own stay.
        for (const [event, listener] of listeners)
          if (args.length === 0 || args[0] === event) client.off(event, listener)
        return leased
      }
      if (ADDS.has(String(name))) listeners.push(args as (typeof listeners)[number])
      const result = original.apply(client, args)
      return result === client ? leased : result
    }
    methods.set(name, bound)
    return bound
  }

  const leased: C = new Proxy(client, {
    get(target, property): unknown {
      if (property === inspect.custom)
        return () => `Leased ${target.constructor.name} { ${isOver() ? 'over' : 'in use'} }`
      if (property === 'then') return undefined
      if (property === Symbol.asyncDispose) return end
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' && property !== 'constructor' ? method(property, value as Method) : value
    },
    set: (target, property, value) => Reflect.set(target, property, value, target),
  })

  return {
    leased,
    finish() {
      isFinished = true
      for (const [event, listener] of listeners.splice(0)) client.off(event, listener)
    },
  }
}

/** The error of using what is over, as the lease itself words it. */
/** What whoever goes on with a lease is told that is over. */
export function overError(lease: Lease<DriverClient>, pool: string): LeaseReleasedError {
  try {
    if (lease.released) lease.release()
  } catch (error) {
    return error as LeaseReleasedError
  }
  return new PoolError('ERR_POOL_LEASE_RELEASED', pool, `pool "${pool}": a client was used after its end`)
}

/** A call after the end: told to the callback where there is one, otherwise by rejecting. */
function refuse(error: LeaseReleasedError, args: readonly unknown[]): unknown {
  const callback = args.at(-1)
  if (typeof callback === 'function') {
    process.nextTick(callback, error)
    return undefined
  }
  return Promise.reject(error)
}
