import type { EventEmitter } from 'node:events'

/**
 * A client of either driver, as far as both are alike. Drivers are handed in and never imported; what is written down
 * here is what the adapter touches.
 */
export interface DriverClient extends EventEmitter {
  readonly options?: unknown
}

/** What happens to a connection on its way. */
export interface ConnectionHost {
  /**
   * The connection is over. `unanswered` is what was sent or queued on it and has no answer, where the driver lets it
   * be sent again on another connection.
   */
  closed(client: DriverClient, error: unknown, unanswered: readonly Unanswered[]): void
  /** A write was refused, because the server is a replica now. */
  readOnly(client: DriverClient): void
  /** It takes no commands for now; the driver connects anew by itself. */
  waits(client: DriverClient): void
  /** It takes commands again. */
  back(client: DriverClient): void
}

/** A command that has lost its connection. */
export interface Unanswered {
  /** Sends it over another connection; its caller gets the answer as if nothing had been. */
  resend(client: DriverClient): void
  reject(error: unknown): void
  /** How often it has lost its connection, this time included. */
  readonly losses: number
}

/**
 * What a connection is for. One that is `shared` or `exclusive` is replaced by the pool when it is lost, and what was
 * sent on a shared one may go out again; a `subscriber` is connected again by the driver, which subscribes anew.
 */
export type LaneName = 'shared' | 'exclusive' | 'subscriber'

export interface Opening {
  readonly client: DriverClient
  /** Resolves once the connection takes commands; rejects with the real error. */
  readonly ready: Promise<void>
}

export interface Place {
  readonly host: string
  readonly port: number
}

/** One driver's ways. */
export interface Dialect {
  readonly driver: 'ioredis' | 'node-redis'
  /** The phrase of the driver for a client that is closed: what its users search for. */
  readonly closedPhrase: string
  /** The number of the database that connections open with. */
  readonly homeDb: number
  /** How often a command may lose its connection, or meet a failed connect, before it fails. */
  readonly maxRetries: number
  /** Whether a command that has lost its connection is sent again, as the driver does by itself. */
  readonly resends: boolean
  /** A client that is never connected: names, types and options are read from it. */
  readonly template: DriverClient
  /** Finds where to connect, where that is not in the options: asks sentinels. */
  locate?(signal: AbortSignal): Promise<Place | undefined>
  /** Begins to connect. */
  open(lane: LaneName, host: ConnectionHost, place?: Place): Opening
  /** Whether the client takes commands now. */
  isReady(client: DriverClient): boolean
  /** Commands without an answer, or undefined where the driver does not tell. */
  inFlight(client: DriverClient): number | undefined
  /** A command of the adapter's own. */
  ask(client: DriverClient, ...command: string[]): Promise<unknown>
  /** A round trip that proves the connection. */
  prove(client: DriverClient): Promise<void>
  /** Resolves once everything that was sent is answered. */
  answered(client: DriverClient): Promise<void>
  /** Takes what has no answer off a connection that is about to be cut, to send it again. Empty where nothing may be. */
  takeUnanswered(client: DriverClient): readonly Unanswered[]
  /** Says goodbye after the last answer. */
  quit(client: DriverClient): Promise<void>
  /** Ends the socket at once. */
  cut(client: DriverClient): void
  /** Whether the client subscribes to something, where that is not told by commands. */
  hasSubscriptions(client: DriverClient): boolean
  /** Ends subscriptions and forgets their listeners. */
  unsubscribeAll(client: DriverClient): Promise<void>
  /** Has `note` told of every command that goes over the connection; its return value is called with the answer. */
  tap(client: DriverClient, note: CommandTap): void
}

/** Hears of a command on its way; what it returns is called once the answer is there. */
export type CommandTap = (name: string, args: readonly unknown[], answer?: Promise<unknown>) => (() => void) | undefined
