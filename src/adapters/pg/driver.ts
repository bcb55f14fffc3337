import type { EventEmitter } from 'node:events'

/**
 * The subset of a `pg` client that the adapter touches, written down here because drivers are handed in and never
 * imported. Members with an underscore are not public in `pg`; each is optional and its absence is survived.
 */
export interface DriverClient extends EventEmitter {
  connect(): Promise<unknown>
  end(): Promise<void>
  query(...args: never[]): unknown
  ref?(): void
  unref?(): void
  /** pg 8.21 and later: `I` idle, `T` in a transaction, `E` in a failed one. */
  getTransactionStatus?(): string | null
  readonly processID?: number | null
  readonly secretKey?: number | null
  readonly host?: string
  readonly port?: number
  /** Absent on the native client. */
  readonly connection?: DriverConnection
  readonly _queryable?: boolean
  readonly _ending?: boolean
  readonly _ended?: boolean
  _getActiveQuery?(): { readonly text?: unknown } | null
  readonly _activeQuery?: { readonly text?: unknown } | null
  /** Before 8.16 the query under way stood here. */
  readonly activeQuery?: { readonly text?: unknown } | null
  readonly _queryQueue?: readonly unknown[]
  readonly _sentQueryQueue?: readonly unknown[]
}

/** The wire of a client. */
export interface DriverConnection extends EventEmitter {
  readonly stream?: { destroy(error?: Error): unknown; readonly destroyed?: boolean }
}

export type DriverClientClass = new (config?: never) => DriverClient

/** The subset of the `pg` module that the adapter touches. */
export interface PgModule {
  // Constructors with `any` on both sides: the user's own class is extended, and its exact type comes back out.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly Pool: new (...args: any[]) => any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly Client: new (...args: any[]) => any
}

export interface QueryResultLike {
  readonly command?: string
  readonly rows: readonly Record<string, unknown>[]
}

/** A query of the adapter's own. */
export async function run(client: DriverClient, text: string): Promise<QueryResultLike> {
  return (await (client.query as (text: string) => Promise<QueryResultLike>).call(client, text))
}

/** The query that is under way, if there is one. */
export function activeQuery(client: DriverClient): { readonly text?: unknown } | null {
  if (client._getActiveQuery !== undefined) return client._getActiveQuery()
  return client._activeQuery ?? client.activeQuery ?? null
}

/** Whether a reply is outstanding, or queries wait to be sent. */
export function isBusy(client: DriverClient): boolean {
  return activeQuery(client) !== null || (client._queryQueue?.length ?? 0) > 0 || (client._sentQueryQueue?.length ?? 0) > 0
}

/** Ends the socket at once, without a goodbye. */
export function cutSocket(client: DriverClient): void {
  const stream = client.connection?.stream
  if (stream !== undefined) stream.destroy()
  else void client.end().catch(() => undefined)
}
