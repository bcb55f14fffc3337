import { deserialize, serialize, type Document } from 'bson'

/** https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ */
const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

const CHECKSUM_PRESENT = 1
const MORE_TO_COME = 2
const EXHAUST_ALLOWED = 1 << 16

const HEADER_BYTES = 16

/** A command as it came: one document, whatever sections it was sent in. */
export interface Request {
  readonly requestId: number
  readonly command: Document
  /** Sent as OP_QUERY, as a first hello may be; it is answered with OP_REPLY. */
  readonly isLegacy: boolean
  /** The client reads on after a first reply that says so. */
  readonly exhaustAllowed: boolean
  /** The client waits for no reply. */
  readonly unanswered: boolean
}

/** Cuts a stream of bytes into requests. */
export class RequestReader {
  #rest = Buffer.alloc(0)

  /** @throws {Error} on what is no message of the protocol */
  read(chunk: Buffer): Request[] {
    const requests: Request[] = []
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= HEADER_BYTES) {
      const length = this.#rest.readInt32LE(0)
      if (length < HEADER_BYTES || length > 48_000_000) throw new Error(`no message of the protocol: length ${length}`)
      if (this.#rest.length < length) break
      const message = this.#rest.subarray(0, length)
      this.#rest = this.#rest.subarray(length)
      requests.push(parse(message))
    }
    return requests
  }
}

function parse(message: Buffer): Request {
  const requestId = message.readInt32LE(4)
  const opCode = message.readInt32LE(12)
  if (opCode === OP_MSG) return parseMsg(requestId, message)
  if (opCode !== OP_QUERY) throw new Error(`no message that this server knows: opcode ${opCode}`)
  const afterName = message.indexOf(0, HEADER_BYTES + 4) + 1
  const command = deserialize(message.subarray(afterName + 8))
  return { requestId, command, isLegacy: true, exhaustAllowed: false, unanswered: false }
}

function parseMsg(requestId: number, message: Buffer): Request {
  const flags = message.readUInt32LE(HEADER_BYTES)
  const end = (flags & CHECKSUM_PRESENT) === 0 ? message.length : message.length - 4
  let at = HEADER_BYTES + 4
  let command: Document = {}
  while (at < end) {
    const kind = message.readUInt8(at++)
    const size = message.readInt32LE(at)
    if (kind === 0) {
      command = { ...deserialize(message.subarray(at, at + size)), ...command }
    } else {
      const nameEnd = message.indexOf(0, at + 4)
      const documents: Document[] = []
      for (let from = nameEnd + 1; from < at + size;) {
        const bytes = message.readInt32LE(from)
        documents.push(deserialize(message.subarray(from, from + bytes)))
        from += bytes
      }
      command = { ...command, [message.toString('utf8', at + 4, nameEnd)]: documents }
    }
    at += size
  }
  return {
    requestId,
    command,
    isLegacy: false,
    exhaustAllowed: (flags & EXHAUST_ALLOWED) !== 0,
    unanswered: (flags & MORE_TO_COME) !== 0,
  }
}

let lastId = 1_000_000

/** The bytes of a reply, and its own id: the next one of a stream of replies answers it. */
export function replyTo(
  { requestId, isLegacy }: Pick<Request, 'requestId' | 'isLegacy'>,
  document: Document,
  moreToCome = false,
): { readonly bytes: Buffer; readonly id: number } {
  const id = ++lastId
  const body = serialize(document, { ignoreUndefined: true })
  const prefix = isLegacy ? legacyPrefix() : msgPrefix(moreToCome)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeInt32LE(HEADER_BYTES + prefix.length + body.length, 0)
  header.writeInt32LE(id, 4)
  header.writeInt32LE(requestId, 8)
  header.writeInt32LE(isLegacy ? OP_REPLY : OP_MSG, 12)
  return { bytes: Buffer.concat([header, prefix, body]), id }
}

function msgPrefix(moreToCome: boolean): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32LE(moreToCome ? MORE_TO_COME : 0, 0)
  return prefix
}

function legacyPrefix(): Buffer {
  const prefix = Buffer.alloc(20)
  prefix.writeInt32LE(8, 0) // await capable
  prefix.writeInt32LE(1, 16) // one document
  return prefix
}
