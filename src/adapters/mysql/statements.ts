import { Borrower } from '../../core/borrower.ts'
import type { Lease } from '../../core/lease.ts'
import type { Operations } from '../../core/operations.ts'
import { inContextOfAsker, tell, type Callback } from './answers.ts'
import type { DriverCommand } from './driver.ts'
import { asDriverError } from './errors.ts'
import type { PooledConnection } from './pooled-connection.ts'
import { textOf, watch } from './watched.ts'

/** Who lends connections to statements. */
export interface Lending {
  readonly operations: Operations
  /** The callbacks of statements only settle promises of the platform's, as below a promise face. */
  readonly settles: boolean
  lent(connection: PooledConnection): void
  giveBack(lease: Lease<PooledConnection>, connection: PooledConnection, error?: unknown): void
}

/** Says what it sends, and how. */
type Send = (connection: PooledConnection, statement: CalledStatement) => DriverCommand

/**
 * A statement of the pool's own `query` or `execute` that is answered by a call: it gets a connection for itself and gives
 * it back. One object without private methods and with one class above it: it is made for every statement, and a longer
 * chain of classes makes that several times as dear.
 */
export class CalledStatement extends Borrower<PooledConnection> {
  readonly sql: unknown
  readonly values: unknown
  /** What the driver calls, as `answering` has it: the connection is given back before whoever asked is told. */
  readonly answer: Callback
  readonly #lending: Lending
  readonly #send: Send
  readonly #callback: Callback
  /** Asked only where somebody hears of slow statements: when, and for what, as a query that is under way has its values in it. */
  readonly #asked: Asked | undefined
  #lease: Lease<PooledConnection> | undefined = undefined
  #isAnswered = false

  constructor(lending: Lending, sql: unknown, values: unknown, callback: Callback, send: Send) {
    super()
    this.sql = sql
    this.values = values
    this.#lending = lending
    this.#send = send
    this.#callback = callback
    this.#asked = askedNow(lending.operations, sql)
    if (!lending.settles) this.keepContext()
    this.answer = (error, rows, fields) => {
      if (this.#isAnswered) return
      this.#isAnswered = true
      if (error) process.nextTick(CalledStatement.#over, this, error, rows, fields)
      else CalledStatement.#over(this, error, rows, fields)
    }
  }

  protected lent(lease: Lease<PooledConnection>): void {
    const lending = this.#lending
    const send = this.#send
    this.#lease = lease
    lending.lent(lease.resource)
    try {
      const command = send(lease.resource, this)
      if (this.#asked !== undefined) watchAsked(lending.operations, this.#asked, command, lease.label)
    } catch (error) {
      giveBack(lending, lease, undefined)
      this.refused(error)
    }
  }

  protected refused(error: unknown): void {
    tell(this.#lending.settles ? undefined : this.context, this.#callback, error)
  }

  protected inWords(error: unknown): unknown {
    return asDriverError(error)
  }

  static #over(this: void, statement: CalledStatement, error: unknown, rows: unknown, fields: unknown): void {
    const lending = statement.#lending
    if (statement.#lease !== undefined) giveBack(lending, statement.#lease, error ?? undefined)
    tell(lending.settles ? undefined : statement.context, statement.#callback, error, rows, fields)
  }
}

/** A query of the pool's own whose rows are read by its events, or its stream. */
export class StreamedQuery extends Borrower<PooledConnection> {
  readonly #lending: Lending
  readonly #command: DriverCommand
  readonly #asked: Asked | undefined

  constructor(lending: Lending, sql: unknown, command: DriverCommand) {
    super()
    this.#lending = lending
    this.#command = command
    this.#asked = askedNow(lending.operations, sql)
    inContextOfAsker(command)
  }

  protected lent(lease: Lease<PooledConnection>): void {
    const lending = this.#lending
    const command = this.#command
    lending.lent(lease.resource)
    try {
      atEnd(command, (failure) => giveBack(lending, lease, failure))
      lease.resource.query(command)
      if (this.#asked !== undefined) watchAsked(lending.operations, this.#asked, command, lease.label)
    } catch (error) {
      giveBack(lending, lease, undefined)
      this.refused(error)
    }
  }

  protected refused(error: unknown): void {
    this.#command.emit('error', error)
  }

  protected inWords(error: unknown): unknown {
    return asDriverError(error)
  }
}

/** Unless it was taken away meanwhile. */
function giveBack(lending: Lending, lease: Lease<PooledConnection>, error: unknown): void {
  if (!lease.released) lending.giveBack(lease, lease.resource, error)
}

/** Calls back when the command has said that it is over, with what went wrong. */
function atEnd(command: DriverCommand, over: (failure: unknown) => void): void {
  let failure: unknown
  command.on('error', () => undefined) // as in mysql2: an error that nobody reads kills no connection
  const emit = command.emit.bind(command)
  command.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') failure = args[0] ?? new Error('The query failed')
    // The driver is still in the middle of the command when it says that it is over.
    if (event === 'end' || event === 'error') setImmediate(() => over(failure))
    return emit(event, ...args)
  }
}

interface Asked {
  readonly text: string
  readonly at: number
}

function askedNow(operations: Operations, sql: unknown): Asked | undefined {
  return operations.watched ? { text: textOf(sql), at: operations.now() } : undefined
}

function watchAsked(
  operations: Operations,
  { text, at }: Asked,
  command: DriverCommand,
  label: string | undefined,
): void {
  watch(operations, command, text, label, operations.now() - at)
}
