import { endsConnection } from './classify.ts'
import type { DriverCommand, DriverPacket } from './driver.ts'
import { AUTOCOMMIT, changesIn, errnoOf, IN_TRANSACTION, isError, SESSION_CHANGED, statusOf } from './protocol.ts'
import { textOf } from './watched.ts'

/** What `resetSession` may be. */
export type ResetSession = 'auto' | 'always' | 'never'

/** A deadlock's victim: the server has rolled the whole transaction back. */
const DEADLOCK = 1213

/** What runs a routine, wherever it stands; asked only of statements that failed. */
const ROUTINE = /\b(?:CALL|EXECUTE|BEGIN\s+NOT)\b/i

/**
 * Statements whose traces no tracker reports, known by their first words: table locks, handlers, a role, an isolation
 * level for the next transaction, an advisory lock. Only how a statement begins is looked at.
 */
const UNTRACKED = /^\s*(?:LOCK\s|HANDLER\s|SET\s+(?:TRANSACTION|ROLE)\b|(?:SELECT|DO)\s+GET_LOCK\s*\()/i

/**
 * What the server says of a session, read from its replies without a round trip: whether it is in a transaction (a
 * status flag), and whether it took on state, by the session trackers that {@link trackingOf} turns on. What they do not
 * show goes unseen: user variables set inside a SELECT, `GET_LOCK()` in the middle of a statement, and whatever a stored
 * routine does of what stands in {@link UNTRACKED}.
 */
export class Session {
  /** Replies are looked at: from the end of the login on. */
  listening = false
  /** Variables, temporary tables, locks: to be reset before the next borrower. */
  marked = false
  /** The user was changed: the connection is not the pool's any more. */
  foreign = false
  /** The server has said that it ends the connection. */
  ended = false
  /** The default database, after a USE. */
  schema: string | undefined
  /** The server accepted the trackers; without them nobody can tell whether a session took on state. */
  tracked = false
  /** An error is being handed to whoever asked: its command is over, though it still looks busy. */
  failing = false
  /** Variables as the server reported them while the session was set up. */
  readonly variables = new Map<string, string>()
  #status = AUTOCOMMIT
  #deadlocked = false
  /** While the adapter itself sets the session up, nothing is marked. */
  #quiet = 0

  get inTransaction(): boolean {
    return (this.#status & IN_TRANSACTION) !== 0
  }

  /** Whether a statement was the victim of a deadlock since this was asked last. */
  wasDeadlocked(): boolean {
    const was = this.#deadlocked
    this.#deadlocked = false
    return was
  }

  /** Looks at a packet before the driver does. */
  note(packet: DriverPacket, command: DriverCommand): void {
    if (isError(packet)) {
      const errno = errnoOf(packet)
      if (endsConnection(errno)) this.ended = true
      if (errno !== DEADLOCK) {
        // A routine that fails may leave its transaction open, and an error carries no status.
        if (this.#quiet === 0 && ROUTINE.test(textOf(command))) {
          this.#status |= IN_TRANSACTION
          this.marked = true
        }
        return
      }
      this.#deadlocked = true
      this.#status &= ~IN_TRANSACTION
      return
    }
    const status = statusOf(packet, command)
    if (status === undefined) return
    this.#status = status
    if ((status & AUTOCOMMIT) === 0 && this.#quiet === 0) this.marked = true
    if ((status & SESSION_CHANGED) !== 0) this.#noteChanges(packet)
  }

  #noteChanges(packet: DriverPacket): void {
    const changes = changesIn(packet)
    if (this.#quiet > 0) {
      // A session that is set up reports its own with an OK.
      for (const [name, value] of changes?.variables ?? []) this.variables.set(name, value)
      return
    }
    if (changes?.changed !== false) this.marked = true
    if (changes?.schema !== undefined) this.schema = changes.schema
  }

  /** Looks at how a borrower's statement begins. */
  noteStatement(sql: unknown): void {
    if (this.marked || this.#quiet > 0) return
    if (UNTRACKED.test(textOf(sql))) this.marked = true
  }

  /** Runs something of the adapter's own, of which no borrower is to be accused. */
  async quietly<R>(fn: () => Promise<R>): Promise<R> {
    this.#quiet++
    try {
      return await fn()
    } finally {
      this.#quiet--
    }
  }

  /** The session is as it was at first. */
  cleaned(): void {
    this.marked = false
    this.schema = undefined
    this.#status = AUTOCOMMIT
  }
}

/**
 * One statement that turns on the server's session trackers, and has them report the session's character sets: a server
 * (MySQL) whose reset falls back to its own is given them again.
 */
export function trackingOf(variables: ReadonlyMap<string, string>): string {
  const client = variables.get('character_set_client')
  const results = variables.get('character_set_results')
  const collation = variables.get('collation_connection')
  const named = (value: string | undefined, name: string): string =>
    value !== undefined && /^\w+$/.test(value) ? `'${value}'` : `@@session.${name}`
  return [
    "SET SESSION session_track_system_variables = '*'",
    'SESSION session_track_state_change = 1',
    'SESSION session_track_schema = 1',
    `SESSION character_set_client = ${named(client, 'character_set_client')}`,
    `SESSION character_set_results = ${named(results, 'character_set_results')}`,
    `SESSION collation_connection = ${named(collation, 'collation_connection')}`,
  ].join(', ')
}
