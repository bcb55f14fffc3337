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
  readonly ssl?: unknown
  readonly sslNegotiation?: string
  /** False from a query's start to the server's word that it is ready for another. Absent on the native client. */
  readonly readyForQuery?: boolean
  /** The library below the native client; asks the server for a cancel by itself. */
  readonly native?: { cancel(done: (error?: Error) => void): void }
  /** Absent on the native client. */
  readonly connection?: DriverConnection
  readonly _queryable?: boolean
  _ending?: boolean
  readonly _ended?: boolean
  _getActiveQuery?(): { readonly text?: unknown } | null
  readonly _activeQuery?: { readonly text?: unknown } | null
  /** Before 8.16 the query under way stood here. */
  readonly activeQuery?: { readonly text?: unknown } | null
  readonly _queryQueue?: readonly unknown[]
  readonly queryQueue?: readonly unknown[]
  readonly _sentQueryQueue?: readonly unknown[]
}

/** The wire of a client. */
export interface DriverConnection extends EventEmitter {
  /** Another object after TLS was negotiated: read it anew every time. */
  readonly stream?: { destroy(error?: Error): unknown; readonly remoteAddress?: string }
  _ending?: boolean
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
export function run(client: DriverClient, text: string): Promise<QueryResultLike> {
  return (client.query as (text: string) => Promise<QueryResultLike>).call(client, text)
}

/** The same by a callback, which saves a promise, and leaves the error's stack as the driver made it. */
export function called(client: DriverClient, text: string): Promise<QueryResultLike> {
  return new Promise((resolve, reject) => {
    ;(client.query as (text: string, done: (error: unknown, result: QueryResultLike) => void) => unknown).call(
      client,
      text,
      (error, result) => {
        if (error) reject(error)
        else resolve(result)
      },
    )
  })
}

/** The query that is under way, if there is one. The public names come last: newer versions warn about them. */
export function activeQuery(client: DriverClient): { readonly text?: unknown } | null {
  if (client._getActiveQuery !== undefined) return client._getActiveQuery() ?? null
  return (client._activeQuery !== undefined ? client._activeQuery : client.activeQuery) ?? null
}

/** Whether queries wait to be sent, or for their replies in pipeline mode. */
export function hasQueue(client: DriverClient): boolean {
  const queue = client._queryQueue ?? client.queryQueue
  return (queue?.length ?? 0) > 0 || (client._sentQueryQueue?.length ?? 0) > 0
}

/** Whether a reply is outstanding: a query runs, a cursor is open, a COPY is under way. */
export function isBusy(client: DriverClient): boolean {
  if (hasQueue(client)) return true
  // The native client keeps its last query; it has no status while it works.
  if (client.connection === undefined) return client.getTransactionStatus?.() === null
  return activeQuery(client) !== null
}

/** Ends a connect that is under way, in whichever phase; it rejects. (A client that believes it is ending would not.) */
export function abortConnect(client: DriverClient): void {
  const stream = client.connection?.stream
  if (stream === undefined) void client.end().catch(() => undefined)
  else stream.destroy()
}

/** Ends the socket at once, without a goodbye and without an error event. */
export function cutSocket(client: DriverClient): void {
  const { connection } = client
  client._ending = true
  if (connection?.stream === undefined) {
    void client.end().catch(() => undefined)
    return
  }
  connection._ending = true
  connection.stream.destroy()
}
