import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** A reply of Redis: text, number, nothing, or a list of replies. */
export type Reply = string | number | null | readonly Reply[]

/** An error that the server replied. */
export class ReplyError extends Error {}

type Parsed = { readonly value: Reply | ReplyError; readonly next: number } | undefined

/** One reply of RESP2 at `from`, or undefined while it is incomplete. */
function parse(data: Buffer, from: number): Parsed {
  const end = data.indexOf('\r\n', from)
  if (end < 0) return undefined
  const text = data.toString('utf8', from + 1, end)
  const next = end + 2
  switch (String.fromCharCode(data[from] ?? 0)) {
    case '+':
      return { value: text, next }
    case '-':
      return { value: new ReplyError(text), next }
    case ':':
      return { value: Number(text), next }
    case '$': {
      const length = Number(text)
      if (length < 0) return { value: null, next }
      if (data.length < next + length + 2) return undefined
      return { value: data.toString('utf8', next, next + length), next: next + length + 2 }
    }
    case '*':
      return parseList(data, next, Number(text))
    default:
      throw new Error(`not a reply of Redis: ${text}`)
  }
}

function parseList(data: Buffer, from: number, count: number): Parsed {
  if (count < 0) return { value: null, next: from }
  const values: Reply[] = []
  let next = from
  for (let index = 0; index < count; index++) {
    const item = parse(data, next)
    if (item === undefined) return undefined
    values.push(item.value instanceof ReplyError ? item.value.message : item.value)
    next = item.next
  }
  return { value: values, next }
}

export interface RespTarget {
  readonly host: string
  readonly port: number
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tls?: boolean | undefined
}

/** Sends commands over a connection of their own and gives the last one's reply; an error reply of any rejects. */
export async function askRedis(target: RespTarget, commands: readonly (readonly string[])[]): Promise<Reply> {
  const { host, port, username = 'default', password, tls = false } = target
  const all = password === undefined ? commands : [['AUTH', username, password], ...commands]
  const socket: Socket = tls ? connectTls({ host, port, rejectUnauthorized: false }) : connect(port, host)
  try {
    return await new Promise<Reply>((resolve, reject) => {
      let data = Buffer.alloc(0)
      let replies = 0
      socket.setTimeout(2_000, () => reject(new Error('Redis does not answer')))
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('Redis ended the connection')))
      socket.on('data', (chunk) => {
        data = Buffer.concat([data, chunk])
        for (let reply = parse(data, 0); reply !== undefined; reply = parse(data, 0)) {
          data = data.subarray(reply.next)
          replies++
          if (reply.value instanceof ReplyError) reject(reply.value)
          else if (replies === all.length) resolve(reply.value)
        }
      })
      for (const command of all) {
        const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`)
        socket.write(`*${command.length}\r\n${parts.join('')}`)
      }
    })
  } finally {
    socket.destroy()
  }
}
