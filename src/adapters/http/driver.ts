import type { Socket } from 'node:net'

/**
 * The subset of `undici` that the adapter touches, written down here because drivers are handed in and never imported.
 * undici 7 calls a handler by its older methods (`onConnect` … `onError`) where it has them, undici 8 knows the newer
 * ones only (`onRequestStart` … `onResponseError`).
 */

/** What a request is dispatched with: undici's own options, and what the pool adds. */
export interface DispatchOptions {
  readonly origin?: string | URL | undefined
  readonly path: string
  readonly method: string
  readonly body?: unknown
  readonly headers?: unknown
  readonly upgrade?: boolean | string | null | undefined
  /** Whether it may share a connection with what runs; undici asks it of the method where it is not told. */
  readonly idempotent?: boolean | null | undefined
}

/**
 * The same request for a connection that carries many: undici has a POST wait there, without a deadline, until all that
 * runs is over, and everything else behind it. It repeats nothing by itself, and each has a stream of its own.
 */
export function sideBySide<O extends DispatchOptions>(options: O): O {
  return options.idempotent == null ? { ...options, idempotent: true } : options
}

export type Abort = (reason?: Error) => void
/** Header names and values in turns, as they came. */
export type RawHeaders = readonly unknown[]

/** Hears of the answer to a request; undici 7 and before. `false` asks for a pause, nothing at all does not. */
export interface LegacyHandler {
  onConnect(abort: Abort, context?: unknown): void
  onHeaders(statusCode: number, headers: RawHeaders, resume: () => void, statusText: string): boolean | undefined
  onData(chunk: Buffer): boolean | undefined
  onComplete(trailers: RawHeaders): void
  onError(error: unknown): void
  onUpgrade?(statusCode: number, headers: RawHeaders, socket: Socket): void
  onResponseStarted?(): void
  onBodySent?(chunk: unknown): void
  onRequestSent?(): void
}

/** Controls a response that comes. */
export interface Controller {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: unknown
  rawHeaders?: unknown
  rawTrailers?: unknown
  pause(): void
  resume(): void
  abort(reason?: unknown): void
}

export type HeaderValues = Readonly<Record<string, string | string[] | undefined>>

/** Hears of the answer to a request; undici 8, and the interceptors of undici 7. */
export interface Handler {
  onRequestStart(controller: Controller, context?: unknown): void
  onResponseStart(controller: Controller, statusCode: number, headers: HeaderValues, statusText?: string): void
  onResponseData(controller: Controller, chunk: Buffer): void
  onResponseEnd(controller: Controller, trailers: HeaderValues): void
  onResponseError(controller: Controller | undefined, error: unknown): void
  onRequestUpgrade?(controller: Controller, statusCode: number, headers: HeaderValues, socket: Socket): void
  onResponseStarted?(): void
  onBodySent?(chunk: unknown): void
  onRequestSent?(): void
}

export type AnyHandler = LegacyHandler | Handler

export const isLegacy = (handler: AnyHandler): handler is LegacyHandler => !('onRequestStart' in handler)

/** One connection of undici's. */
export interface ClientLike {
  dispatch(options: DispatchOptions, handler: AnyHandler): boolean
  destroy(error: Error): Promise<void>
  on(event: 'disconnect', listener: () => void): unknown
}

/** What a connection is asked for. */
export interface ConnectWish {
  readonly hostname: string
  readonly host?: string | undefined
  readonly protocol: string
  readonly port: string
  readonly servername?: string | undefined
}

export type Connected = (error: Error | null, socket: Socket | null) => void
/** Opens a socket; gives it back at once, and calls back when it is connected. */
export type Connector = (wish: ConnectWish, connected: Connected) => Socket
/** What undici's client takes for one. */
export type ConnectFunction = (wish: ConnectWish, connected: Connected) => void

/** The module that users hand in: `import * as undici from 'undici'`. */
export interface UndiciModule {
  // The driver's own types of what these take and give go out again: `any` on both sides of the edge.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly Client: new (origin: any, options?: any) => any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly Dispatcher: abstract new () => any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly buildConnector: (options?: any) => any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly request: (url: any, options?: any) => Promise<any>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly fetch: (input: any, init?: any) => Promise<any>
}
