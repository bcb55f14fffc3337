import type { Lease } from '../../core/lease.ts'
import type { Operations } from '../../core/operations.ts'
import { inAskersContext, inContextOfAsker, toldOnce, type Callback } from './answers.ts'
import type { DriverCommand } from './driver.ts'
import type { PooledConnection } from './pooled-connection.ts'
import { textOf, watch } from './watched.ts'

/** Who lends connections to statements. */
export interface Lending {
  readonly operations: Operations
  /** Gives a lease, or why there is none, in the async context of the call. */
  acquire(lent: (lease: Lease<PooledConnection>) => void, failed: (error: unknown) => void): void
  giveBack(lease: Lease<PooledConnection>, connection: PooledConnection, error?: unknown): void
}

interface Asked {
  readonly text: string
  readonly at: number
}

const ignore: Callback = () => undefined

/** Statements of the pool's own `query` and `execute`: each gets a connection for itself and gives it back. */
export class Statements {
  readonly #lending: Lending
  readonly #settles: boolean

  /** @param settles - callbacks only settle promises, as below a promise face */
  constructor(lending: Lending, settles: boolean) {
    this.#lending = lending
    this.#settles = settles
  }

  /** Runs a query that the driver has made; its callback tells what came of it, or its events do. */
  query(command: DriverCommand, sql: unknown): void {
    const done = command.onResult === undefined ? undefined : inAskersContext(command.onResult, this.#settles)
    if (done === undefined) inContextOfAsker(command)
    const failed = done ?? ((error: unknown) => command.emit('error', error))
    this.#run(
      sql,
      (lease, connection) => {
        if (done === undefined) this.#giveBackAtEnd(lease, connection, command)
        else command.onResult = this.#givingBack(lease, connection, done)
        return connection.query(command)
      },
      failed,
    )
  }

  execute(sql: unknown, values: unknown, callback: Callback | undefined): void {
    const done = callback === undefined ? ignore : inAskersContext(callback, this.#settles)
    this.#run(
      sql,
      (lease, connection) => connection.execute(sql, values, this.#givingBack(lease, connection, done)),
      done,
    )
  }

  #run(
    sql: unknown,
    send: (lease: Lease<PooledConnection>, connection: PooledConnection) => DriverCommand,
    failed: (error: unknown) => void,
  ): void {
    const lending = this.#lending
    const asked = this.#askedNow(sql)
    lending.acquire((lease) => {
      const connection = lease.resource
      try {
        const command = send(lease, connection)
        if (asked !== undefined) this.#watch(command, asked, lease)
      } catch (error) {
        if (!lease.released) lending.giveBack(lease, connection)
        failed(error)
      }
    }, failed)
  }

  /** What the driver calls back: it gives the connection back before whoever asked is told. */
  #givingBack(lease: Lease<PooledConnection>, connection: PooledConnection, done: Callback): Callback {
    return toldOnce((error, rows, fields) => {
      if (!lease.released) this.#lending.giveBack(lease, connection, error ?? undefined)
      done(error, rows, fields)
    })
  }

  /** Gives the connection back when the command has said that it is over. */
  #giveBackAtEnd(lease: Lease<PooledConnection>, connection: PooledConnection, command: DriverCommand): void {
    let failure: unknown
    command.on('error', () => undefined) // as in mysql2: an error that nobody reads kills no connection
    const over = (): void => {
      if (!lease.released) this.#lending.giveBack(lease, connection, failure)
    }
    const emit = command.emit.bind(command)
    command.emit = (event: string | symbol, ...args: unknown[]) => {
      if (event === 'error') failure = args[0] ?? new Error('The query failed')
      // The driver is still in the middle of the command when it says that it is over.
      if (event === 'end' || event === 'error') setImmediate(over)
      return emit(event, ...args)
    }
  }

  /** When a statement was asked for, and its text: a query that is under way has its values in it. */
  #askedNow(sql: unknown): Asked | undefined {
    const { operations } = this.#lending
    return operations.watched ? { text: textOf(sql), at: operations.now() } : undefined
  }

  #watch(command: DriverCommand, { text, at }: Asked, lease: Lease<PooledConnection>): void {
    const { operations } = this.#lending
    watch(operations, command, text, lease.label, operations.now() - at)
  }
}
