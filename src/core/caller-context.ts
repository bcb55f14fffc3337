import { AsyncResource } from 'node:async_hooks'

/**
 * The same callback, run in the async context of whoever hands it in now, not of whoever happens to call it: a
 * connection's replies arrive in the context of its socket. (`AsyncResource.bind` does the same for 200 times the price
 * on Node 20.)
 */
export function inCallersContext<A extends unknown[]>(callback: (...args: A) => unknown): (...args: A) => void {
  const context = new AsyncResource('MILLPOND_CALLBACK')
  return (...args) => {
    context.runInAsyncScope(callback as (...args: unknown[]) => unknown, undefined, ...args)
  }
}
