/** What ioredis writes to: a stream of Node's, unless a `Connector` of the user's made another. */
export interface Corkable {
  readonly writableCorked: number
  readonly writableLength: number
  cork?(): void
  uncork(): void
}

/** A client of ioredis, as far as it sends. */
interface Sender {
  readonly stream?: Corkable | null
  sendCommand(command: unknown, stream?: unknown, node?: unknown): unknown
}

/** More than this is not held back, however long the tick. */
const MOST_BYTES = 65_536

/** What is written to these is held back until the present tick is over. */
const held: Corkable[] = []
/** Once the process is exiting no tick comes any more. */
let isExiting = false
let knowsExit = false

/**
 * Has the commands that go out on a connection in one tick be written together when it is over. ioredis writes each by
 * itself, and that call into the kernel costs three times as much as all else about a command. They keep their order, and
 * the first leaves before the event loop turns: whoever sends but one at a time loses nothing.
 */
export function writeTogether(client: Sender): void {
  letGoAtExit()
  // The prototype's method as it is at the time of the call: instrumentation may have wrapped it.
  const prototype = Object.getPrototypeOf(client) as Sender
  client.sendCommand = function (this: Sender, command, stream, node) {
    hold(this.stream)
    return prototype.sendCommand.call(this, command, stream, node)
  }
}

/** Holds back what is written to the stream until the present tick is over. */
export function hold(stream: Corkable | null | undefined): void {
  if (!stream?.cork || isExiting) return
  if (stream.writableCorked > 0) {
    if (stream.writableLength > MOST_BYTES && held.includes(stream)) {
      stream.uncork()
      stream.cork()
    }
    return
  }
  stream.cork()
  if (held.length === 0) process.nextTick(letGo)
  held.push(stream)
}

function letGo(): void {
  const stream = held.pop()
  if (stream === undefined) return
  try {
    stream.uncork()
  } finally {
    letGo()
  }
}

/** A command that is sent just before the process ends, or while it does, goes out as it would have without all this. */
function letGoAtExit(): void {
  if (knowsExit) return
  knowsExit = true
  process.prependListener('exit', () => {
    isExiting = true
    letGo()
  })
}
