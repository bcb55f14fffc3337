import type { DriverCommand, DriverPacket } from './driver.ts'

/** Flags of the status that the server sends with every OK and EOF. */
export const IN_TRANSACTION = 0x0001
export const AUTOCOMMIT = 0x0002
export const SESSION_CHANGED = 0x4000

const OK = 0x00
const EOF = 0xfe
const ERROR = 0xff

/** Whether a packet may be one of those in which the server says how a command went: an OK, an EOF, an error. */
export function isWord({ buffer, offset }: DriverPacket): boolean {
  const first = buffer[offset] as number
  return first === OK || first >= EOF
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
export function statusOf(packet: DriverPacket, command: DriverCommand): number | undefined {
  const { buffer, offset } = packet
  const first = buffer[offset]
  // A row that begins with this byte is a column of 16 MB.
  if (first === EOF) return packet.length() < 13 ? buffer.readUInt16LE(offset + 3) : undefined
  if (first !== OK) return undefined
  const { next } = command
  if (next === undefined || next === null || (next !== command.resultsetHeader && next !== command.infileOk))
    return undefined
  return buffer.readUInt16LE(statusAt(packet))
}

/** Where the status of an OK stands: behind the numbers of rows and of the last insert. */
function statusAt({ buffer, offset }: DriverPacket): number {
  return skipNumber(buffer, skipNumber(buffer, offset + 1))
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

/**
 * Reads the details of a changed session, of a packet whose status says that it changed; nothing where there are none: an
 * EOF has no room for them. Identifiers of transactions (GTIDs) change nothing.
 */
export function changesIn(packet: DriverPacket): SessionChanges | undefined {
  const { buffer, offset } = packet
  if (buffer[offset] !== OK) return undefined
  const [infoLength, info] = readNumber(buffer, statusAt(packet) + 4)
  const [allLength, from] = readNumber(buffer, info + infoLength)
  if (allLength === 0) return undefined
  const changes: SessionChanges = { changed: false, schema: undefined, variables: new Map() }
  let at = from
  while (at < from + allLength) {
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
