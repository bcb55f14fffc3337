import type { DriverCommand, DriverPacket } from './driver.ts'

/** Flags of the status that the server sends with every OK and EOF. */
export const IN_TRANSACTION = 0x0001
export const AUTOCOMMIT = 0x0002
export const SESSION_CHANGED = 0x4000

const OK = 0x00
const EOF = 0xfe
const ERROR = 0xff

/** What the server says about the session in one packet. */
export interface ServerWord {
  readonly status: number
  /** Where the details of what has changed begin and end; equal where there are none. */
  readonly from: number
  readonly to: number
}

export function isError({ buffer, offset }: DriverPacket): boolean {
  return buffer[offset] === ERROR
}

/** The errno of an error packet. */
export function errnoOf({ buffer, offset }: DriverPacket): number {
  return buffer.readUInt16LE(offset + 1)
}

/**
 * The status in a packet that carries one: an EOF, or an OK. Rows may begin with a zero byte too, so an OK counts only
 * where the command waits for one.
 */
export function statusOf(packet: DriverPacket, command: DriverCommand): ServerWord | undefined {
  const { buffer, offset } = packet
  const first = buffer[offset]
  if (first === EOF) {
    // A row that begins with this byte is a column of 16 MB.
    if (packet.length() >= 13) return undefined
    return { status: buffer.readUInt16LE(offset + 3), from: 0, to: 0 }
  }
  if (first !== OK) return undefined
  const { next } = command
  if (next === undefined || next === null || (next !== command.resultsetHeader && next !== command.infileOk))
    return undefined
  const at = skipNumber(buffer, skipNumber(buffer, offset + 1))
  const status = buffer.readUInt16LE(at)
  if ((status & SESSION_CHANGED) === 0) return { status, from: 0, to: 0 }
  const [infoLength, info] = readNumber(buffer, at + 4)
  const [length, from] = readNumber(buffer, info + infoLength)
  return { status, from, to: from + length }
}

/** What may change in a session, as the server's trackers number it. */
const SYSTEM_VARIABLE = 0
const SCHEMA = 1
const STATE = 2

export interface SessionChanges {
  /** A variable, a temporary table, the default database: what the next borrower would find. */
  changed: boolean
  /** The default database, when it is another one. */
  schema: string | undefined
  readonly variables: Map<string, string>
}

/** Reads the details of a changed session. Identifiers of transactions (GTIDs) change nothing. */
export function changesIn(buffer: Buffer, { from, to }: ServerWord): SessionChanges {
  const changes: SessionChanges = { changed: false, schema: undefined, variables: new Map() }
  let at = from
  while (at < to) {
    const type = buffer[at]
    const [length, start] = readNumber(buffer, at + 1)
    at = start + length
    if (type === SYSTEM_VARIABLE) {
      changes.changed = true
      const [name, next] = readText(buffer, start)
      const [value] = readText(buffer, next)
      changes.variables.set(name, value)
    } else if (type === SCHEMA) {
      changes.changed = true
      ;[changes.schema] = readText(buffer, start)
    } else if (type === STATE) {
      changes.changed = true
    }
  }
  return changes
}

function readText(buffer: Buffer, at: number): [text: string, end: number] {
  const [length, start] = readNumber(buffer, at)
  return [buffer.toString('utf8', start, start + length), start + length]
}

/** A number of the protocol's variable length, and where it ends. */
function readNumber(buffer: Buffer, at: number): [value: number, end: number] {
  const end = skipNumber(buffer, at)
  const bytes = end - at
  return [bytes === 1 ? (buffer[at] as number) : buffer.readUIntLE(at + 1, Math.min(bytes - 1, 6)), end]
}

function skipNumber(buffer: Buffer, at: number): number {
  switch (buffer[at]) {
    case 0xfc:
      return at + 3
    case 0xfd:
      return at + 4
    case 0xfe:
      return at + 9
    default:
      return at + 1
  }
}
