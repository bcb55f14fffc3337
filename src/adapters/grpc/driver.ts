/**
 * The subset of `@grpc/grpc-js` that the adapter touches, written down here because drivers are handed in and never
 * imported. Numbers of states and status codes are those of the gRPC specification.
 */

/** gRPC's status codes, as far as the adapter speaks of them. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
} as const

/** States of a channel. */
export const CHANNEL = { IDLE: 0, CONNECTING: 1, READY: 2, TRANSIENT_FAILURE: 3, SHUTDOWN: 4 } as const

/** What a call propagates from the server call that it is made for. */
export const PROPAGATE = { DEADLINE: 1, CANCELLATION: 8, DEFAULTS: 0xffff } as const

export type GrpcDeadline = Date | number

export interface GrpcMetadata {
  getOptions?(): { readonly waitForReady?: boolean }
  getMap?(): Readonly<Record<string, unknown>>
}

export interface GrpcStatus {
  readonly code: number
  readonly details: string
  readonly metadata: GrpcMetadata
}

/** Hears of the answer to a call. */
export interface GrpcListener {
  onReceiveMetadata(metadata: GrpcMetadata): void
  onReceiveMessage(message: unknown): void
  onReceiveStatus(status: GrpcStatus): void
}

export interface GrpcMessageContext {
  readonly callback?: (error?: Error | null) => void
}

/** A call below the client's interceptors, with messages as bytes. */
export interface GrpcCall {
  cancelWithStatus(code: number, details: string): void
  getPeer(): string
  start(metadata: GrpcMetadata, listener: GrpcListener): void
  sendMessageWithContext(context: GrpcMessageContext, message: unknown): void
  startRead(): void
  halfClose(): void
  getCallNumber(): number
  setCredentials(credentials: unknown): void
  /** 1.14 and later. */
  getAuthContext?(): unknown
}

/** The server call that a call is made for. */
export interface GrpcParentCall {
  readonly cancelled?: boolean
  on(event: 'cancelled', listener: () => void): unknown
  getDeadline(): GrpcDeadline
}

export interface GrpcChannelLike {
  close(): void
  getTarget(): string
  getConnectivityState(tryToConnect: boolean): number
  watchConnectivityState(currentState: number, deadline: GrpcDeadline, callback: (error?: Error) => void): void
  getChannelzRef(): unknown
  createCall(
    method: string,
    deadline: GrpcDeadline,
    host: string | null | undefined,
    parentCall: GrpcParentCall | null,
    propagateFlags: number | null | undefined,
  ): GrpcCall
}

export type CallArguments = Parameters<GrpcChannelLike['createCall']>

/** The client of a service, as `@grpc/grpc-js` makes it or a generator writes it. */
export interface GrpcClient {
  close(): void
  // The driver's own types of what these take and give go out again: `any` on both sides of the edge.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  getChannel(): any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  makeUnaryRequest(...args: any[]): any
}

/** The class of such a client. */
export type GrpcClientClass<C extends GrpcClient = GrpcClient> = new (
  target: string,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  credentials: any,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  options?: any,
) => C

/** An error as the driver makes it of a status. */
export interface ServiceErrorLike extends Error {
  readonly code: number
  readonly details: string
}

export function isServiceError(error: unknown): error is ServiceErrorLike {
  return error instanceof Error && 'details' in error && 'code' in error && typeof error.code === 'number'
}

/** How the driver counts its own repetitions, in metadata. */
const ATTEMPTS_KEY = 'grpc-previous-rpc-attempts'

/**
 * The server has not begun on the call: it had said goodbye (GOAWAY) before the stream came, or refused the stream
 * (REFUSED_STREAM). The driver makes the call once more by itself, and then says it in these words. A server whose own
 * answer has them, such as a gateway that passes on what it was told, sends metadata with it, a `content-type` at least.
 */
export function wasRefused({ code, details, metadata }: GrpcStatus): boolean {
  if (code !== STATUS.UNAVAILABLE || details !== 'Stream refused by server') return false
  return Object.keys(metadata.getMap?.() ?? {}).every((key) => key === ATTEMPTS_KEY)
}

// What follows is not public in the driver. It is looked for, and its absence is survived.

/** The part of Node's `ClientHttp2Session` that is used. */
export interface SessionLike {
  readonly destroyed: boolean
  readonly remoteSettings?: { readonly maxConcurrentStreams?: number }
  /** A stand-in for the socket; it refuses `destroy`, but not `destroySoon`, which does not wait for the peer's end. */
  readonly socket?: { readonly destroySoon?: () => void }
  once(event: 'close', listener: () => void): unknown
}

interface Internals {
  readonly internalChannel?: {
    readonly subchannelPool?: {
      readonly pool?: Readonly<Record<string, readonly { readonly subchannel?: Subchannel }[]>>
    }
  }
}

/** One connection of a channel, and what comes after it. */
export interface Subchannel {
  readonly transport?: { readonly session?: SessionLike } | null
  /** Doubled by the driver when a server complains of too many pings. */
  readonly keepaliveTime?: number
}

/** The subchannels of a channel that has a pool of its own for them; none when it is closed. */
export function subchannelsOf(channel: GrpcChannelLike): Subchannel[] {
  const { pool } = (channel as Internals).internalChannel?.subchannelPool ?? {}
  return Object.values(pool ?? {})
    .flat()
    .flatMap(({ subchannel }) => subchannel ?? [])
}

/** The connections of a channel that has a subchannel pool of its own. */
export function sessionsOf(channel: GrpcChannelLike): SessionLike[] {
  return subchannelsOf(channel).flatMap(({ transport }) => transport?.session ?? [])
}

/** How many streams the server allows on a connection of this channel; unknown where it does not say. */
export function streamLimitOf(channel: GrpcChannelLike): number | undefined {
  const limits = sessionsOf(channel).flatMap(({ remoteSettings }) => remoteSettings?.maxConcurrentStreams ?? [])
  return limits.length === 0 ? undefined : Math.min(...limits)
}

/** The longest keep-alive interval that the driver arrived at, in milliseconds; -1 where it has none. */
export function keepAliveOf(subchannels: readonly Subchannel[]): number {
  return Math.max(-1, ...subchannels.map(({ keepaliveTime }) => keepaliveTime ?? -1))
}
