import type { EventEmitter } from 'node:events'
import type { AcquireOptions } from '../../core/pool.ts'
import type { DriverClient } from './driver.ts'

export type Method = (this: unknown, ...args: unknown[]) => unknown

/** How a command on the exclusive lane is run. */
export interface ExclusiveOptions extends AcquireOptions {
  /** Runs it again on another connection when the first is lost, where the driver does so by itself. */
  readonly again: boolean
  /** The first key of the command, by which a cluster finds the node; `undefined` where it has none. */
  readonly key?: unknown
}

/** One user of the pool's connections: `pool.client`, or a duplicate of it. It ends its own commands when it ends. */
export interface FaceOwner {
  readonly ended: boolean
  readonly signal: AbortSignal
}

/** What a face is made of, besides its driver's own parts. */
export interface FaceBasics {
  readonly host: FaceHost
  /** A duplicate ends for itself; the pool's own face ends the pool. */
  readonly isDuplicate: boolean
  /** Hears of the pool's events. */
  readonly events: EventEmitter
  /** The face has ended: it hears no more. */
  forget(): void
  /** Another face of the same pool. */
  duplicate(): DriverClient
  /** A face with options of its own, which needs other connections: those of a pool of its own. */
  spawn(override: object): DriverClient
}

/** What a face asks of its pool. */
export interface FaceHost {
  readonly name: string
  /** Whether the command that is about to be sent is to be measured: it is timed, or somebody hears of slow ones. */
  readonly watched: boolean
  /** Sends a command of the shared lane, takes its time, and announces it where it is slow. */
  measured<R>(label: string, send: () => R): R
  /** A shared connection that takes commands at this instant. */
  pick(): DriverClient | undefined
  /** Runs a command on the shared lane once a connection takes it. */
  queued<R>(
    run: (client: DriverClient) => R | PromiseLike<R>,
    options: AcquireOptions & { readonly label: string },
  ): Promise<R>
  /** Runs a command on a connection of its own. */
  exclusive<R>(
    owner: FaceOwner,
    run: (client: DriverClient) => R | PromiseLike<R>,
    options: ExclusiveOptions,
  ): Promise<R>
  /** A connection that only listens, until it is ended in the driver's own way. */
  subscriber(): Promise<DriverClient>
  /** Notes an error reply that the driver tells only to the caller. */
  noteError(client: DriverClient, error: unknown): void
  ready(): Promise<void>
  close(graceful: boolean): Promise<void>
  /** The state, in words that both drivers can be told in. */
  status(): 'wait' | 'connecting' | 'ready' | 'reconnecting' | 'end'
}

/** What no caller of a shared client may do, and where it belongs. */
export function sessionError(pool: string, command: string): Error {
  return new Error(
    `pool "${pool}": ${command.includes(' ') ? command : command.toUpperCase()} acts on one connection and what is sent on it before or after, and pool.client shares its connections; use \`pool.use((client) => …)\``,
  )
}

/** Tells a callback of a promise's outcome, in the caller's async context; the promise itself is handled then. */
export function toCallback<R>(promise: Promise<R>, callback: unknown): Promise<R> {
  if (typeof callback !== 'function') return promise
  const call = callback as (error: unknown, result?: R) => void
  promise.then(
    (result) => process.nextTick(call, null, result),
    (error: unknown) => process.nextTick(call, error),
  )
  return promise
}
