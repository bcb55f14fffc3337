/**
 * The parts of the MongoDB driver that are used here, as structural minima: the user hands in their own client, of
 * whichever copy and version (mongoose brings one of its own), and nothing is imported.
 */
export interface DriverClient {
  readonly options: {
    readonly maxPoolSize?: number
    readonly minPoolSize?: number
    readonly monitorCommands?: boolean
    readonly hosts?: readonly object[]
    readonly srvHost?: string
    readonly dbName?: string
    readonly credentials?: { readonly username?: string }
    readonly waitQueueTimeoutMS?: number
    readonly socketTimeoutMS?: number
    readonly timeoutMS?: number
  }
  on(event: string, listener: (event: never) => void): unknown
  off(event: string, listener: (event: never) => void): unknown
  db(name?: string): { command(command: object, options?: object): Promise<unknown> }
  startSession(options?: object): DriverSession
  close(): Promise<unknown>
  /** Present once it connects; what is behind it is not public, so every part may be missing. */
  readonly topology?: {
    readonly description?: { readonly type?: string }
    readonly s?: { readonly servers?: ReadonlyMap<string, { readonly pool?: DriverPool }> }
  }
}

/** A session, of the user's own or one that a cursor keeps for itself. */
export interface DriverSession {
  readonly hasEnded?: boolean
  inTransaction?(): boolean
  once(event: 'ended', listener: () => void): unknown
}

/** The driver's pool of one server. Not public: read only through `internals.ts`. */
export type DriverPool = object

/** A connection of mongoose, which has the driver's client inside. */
export interface MongooseConnection {
  getClient(): DriverClient
  close(): Promise<unknown>
}

/** The module of mongoose, whose default connection is meant. */
export interface MongooseModule {
  readonly connection: MongooseConnection
}

/** What {@link observeMongo} takes. */
export type MongoSource = DriverClient | MongooseConnection | MongooseModule

/** Events of "Connection Monitoring and Pooling", as far as they are read here. */
export interface PoolEvent {
  readonly address: string
}
export interface ConnectionEvent extends PoolEvent {
  readonly connectionId: number | string
}
export interface ConnectionClosedEvent extends ConnectionEvent {
  readonly reason: string
  readonly error?: unknown
}
export interface CheckOutFailedEvent extends PoolEvent {
  readonly reason: string
  readonly durationMS?: number
  readonly error?: unknown
}
export interface CheckedOutEvent extends ConnectionEvent {
  readonly durationMS?: number
}
export interface CommandEvent {
  readonly requestId: number
  readonly commandName: string
  readonly databaseName?: string
  readonly address: string
  readonly connectionId?: number | string
  readonly command?: Readonly<Record<string, unknown>>
  readonly reply?: unknown
  readonly duration?: number
}

export function isClient(source: unknown): source is DriverClient {
  return has(source, 'startSession') && has(source, 'db') && has(source, 'on') && !has(source, 'getClient')
}

export function isConnection(source: unknown): source is MongooseConnection {
  return has(source, 'getClient') && has(source, 'close')
}

export function isMongoose(source: unknown): source is MongooseModule {
  return (
    typeof source === 'object' &&
    source !== null &&
    isConnection((source as { readonly connection?: unknown }).connection)
  )
}

function has(source: unknown, method: string): boolean {
  return (
    typeof source === 'object' &&
    source !== null &&
    typeof (source as Readonly<Record<string, unknown>>)[method] === 'function'
  )
}
