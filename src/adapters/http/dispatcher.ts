import { AsyncResource } from 'node:async_hooks'
import { OptionError } from '../../core/errors.ts'
import { isLegacy, type AnyHandler, type DispatchOptions, type UndiciModule } from './driver.ts'
import type { ExchangeHost, PoolWish } from './exchange.ts'
import { LegacyExchange, ModernExchange } from './handlers.ts'

/** What a dispatcher needs of its pool. */
export interface DispatcherHost extends ExchangeHost {
  readonly name: string
  readonly origin: string | undefined
  readonly state: string
  close(options?: { timeoutMillis?: number; waiters?: 'serve' | 'reject' }): Promise<unknown>
}

/** The part of undici's own dispatchers that the adapter calls. */
export interface DispatcherLike {
  dispatch(options: DispatchOptions & PoolWish, handler: AnyHandler): boolean
  request(options: object): Promise<unknown>
  compose(interceptors: readonly unknown[]): DispatcherLike
}

/** The origin asked for last, as it was written and as it is named: most programs ask few. */
let last = { given: '', origin: '' }

/** @throws {OptionError} where it is no origin; what it is may hold a password, and is not shown */
function normalOf(pool: string, given: string | URL): string {
  if (typeof given !== 'string') return given.origin
  if (given !== last.given) {
    let origin: string
    try {
      ;({ origin } = new URL(given))
    } catch {
      throw new OptionError(pool, 'origin', 'Expected `origin` to be a URL such as https://api.example.com')
    }
    last = { given, origin }
  }
  return last.origin
}

/** Sends one request through the pool. */
export function dispatch(host: DispatcherHost, options: DispatchOptions & PoolWish, handler: AnyHandler): boolean {
  const { origin = host.origin } = options
  if (origin === undefined) {
    throw new OptionError(host.name, 'origin', 'Expected a whole URL, or a pool with the option `origin`')
  }
  const name = origin === host.origin ? origin : normalOf(host.name, origin)
  // undici's own handlers stand for the async context of their callers already.
  const caller = handler instanceof AsyncResource ? handler : new AsyncResource('MILLPOND_REQUEST')
  const exchange = isLegacy(handler)
    ? new LegacyExchange(host, name, options, caller, handler)
    : new ModernExchange(host, name, options, caller, handler)
  exchange.start()
  return true
}

/** A dispatcher of the undici that was handed in, on the pool: for its `fetch`, its interceptors and its other methods. */
export function makeDispatcher(undici: UndiciModule, host: DispatcherHost): DispatcherLike {
  const Dispatcher = undici.Dispatcher as new () => object
  class PooledDispatcher extends Dispatcher {
    dispatch(options: DispatchOptions & PoolWish, handler: AnyHandler): boolean {
      return dispatch(host, options, handler)
    }

    get closed(): boolean {
      return host.state === 'closing' || host.state === 'closed'
    }

    get destroyed(): boolean {
      return host.state === 'closed'
    }

    /** Closes the pool; requests that run get its grace time. */
    close(callback?: () => void): Promise<void> | undefined {
      return settle(host.close(), callback)
    }

    /** Closes the pool at once, with what runs. */
    destroy(error?: unknown, callback?: () => void): Promise<void> | undefined {
      const done = typeof error === 'function' ? (error as () => void) : callback
      return settle(host.close({ timeoutMillis: 1, waiters: 'reject' }), done)
    }
  }
  return new PooledDispatcher() as unknown as DispatcherLike
}

/** As undici's methods do: a promise, or a callback. */
function settle(closing: Promise<unknown>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return closing.then(() => undefined)
  void closing.then(() => callback())
  return undefined
}
