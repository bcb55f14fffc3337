import { fingerprint } from '../../core/fingerprint.ts'
import type { Operations, OperationTold } from '../../core/operations.ts'
import type { DriverClient } from './driver.ts'

/** The client's own `query`. */
export function plainQuery(client: DriverClient, args: unknown[]): unknown {
  const { query } = client as unknown as { query: (this: unknown, ...args: unknown[]) => unknown }
  return query.apply(client, args)
}

/**
 * Runs a query of the pool's own. A text, or an object that submits itself, answers by a callback, which saves the two
 * promises that `pg` makes otherwise; a configuration may not, for `pg` writes the callback into it, and it is its owner's.
 */
export function ownQuery(client: DriverClient, query: unknown, values: unknown): unknown {
  if (typeof query !== 'string' && !isSubmittable(query))
    return plainQuery(client, values === undefined ? [query] : [query, values])
  return new Promise((resolve, reject) => {
    const done = (error: unknown, result: unknown): void => {
      if (error) reject(error)
      else resolve(result)
    }
    plainQuery(client, [query, values, done])
  })
}

/** Runs the client's own `query` with these arguments, gives what it gives, and has it measured where somebody listens. */
export function watchedQuery(
  operations: Operations,
  client: DriverClient,
  args: unknown[],
  label: string | undefined,
): unknown {
  if (!operations.watched) return plainQuery(client, args)
  const operation: OperationTold = { describe: () => describeQuery(args[0]), label }
  const at = args.findIndex((arg) => typeof arg === 'function')
  if (at < 0)
    return isSubmittable(args[0]) ? plainQuery(client, args) : operations.run(operation, () => plainQuery(client, args))
  // With a callback the query is over when that is called.
  const callback = args[at] as (error: unknown, ...rest: unknown[]) => unknown
  const startedAt = operations.now()
  const noted = function (this: unknown, error: unknown, ...rest: unknown[]): unknown {
    operations.ended(operation, startedAt, Boolean(error))
    return callback.call(this, error, ...rest)
  }
  return plainQuery(client, args.with(at, noted))
}

/** A query of the pool's own is over. `askedAt` is NaN where nobody listened when it was asked for. */
export function noteQuery(
  operations: Operations,
  query: unknown,
  label: string | undefined,
  askedAt: number,
  sentAt: number,
  failed: boolean,
): void {
  if (Number.isNaN(askedAt)) return
  const waitMillis = sentAt - askedAt
  if (!operations.wasSlow(sentAt, waitMillis)) return
  operations.tell({ describe: () => describeQuery(query), label, waitMillis }, sentAt, failed)
}

/** The fingerprint of the statement, or its name: never a value. */
function describeQuery(query: unknown): string {
  if (typeof query === 'string') return fingerprint(query)
  if (typeof query !== 'object' || query === null) return ''
  const { name, text } = query as { readonly name?: unknown; readonly text?: unknown }
  return typeof text === 'string' ? fingerprint(text) : typeof name === 'string' ? name : ''
}

/** A query object that submits itself: pg.Query, a cursor, a stream. */
export function isSubmittable(text: unknown): boolean {
  return typeof text === 'object' && text !== null && 'submit' in text && typeof text.submit === 'function'
}
