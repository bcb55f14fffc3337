/**
 * The program of the rig's wire-level test server: it speaks MongoDB's wire protocol as far as drivers need it to
 * connect, log in, read, write, and be disturbed. It is no database, and not MongoDB.
 */
import { createServer, type Socket } from 'node:net'
import type { Document } from 'bson'
import { takeOrders } from '../control.ts'
import type { MongoWireProgramOptions, MongoWireView } from '../mongo-wire.ts'
import { sleep } from '../wait.ts'
import { COMMANDS } from './commands.ts'
import { Cursors } from './cursors.ts'
import { CommandError, notFound, unauthorized } from './errors.ts'
import { FailPoint } from './fail-point.ts'
import { replyTo, RequestReader, type Request } from './protocol.ts'
import { ScramLogin } from './scram.ts'
import { Store } from './store.ts'
import { Topology } from './topology.ts'
import { sessionOf, Transactions } from './transactions.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as MongoWireProgramOptions

const store = new Store()
const cursors = new Cursors(store)
const transactions = new Transactions()
const topology = new Topology(options)
const failPoint = new FailPoint()
const connections = new Set<Connection>()
const sessions = new Set<string>()

let counts = emptyCounts()
let lastConnectionId = 0

function emptyCounts() {
  return { accepted: 0, refused: 0, logins: 0, failedLogins: 0, mostActive: 0, commands: {} as Record<string, number> }
}

function view(): MongoWireView {
  const open = [...connections]
  return {
    ...counts,
    connections: open.length,
    authenticated: open.filter(({ user }) => user !== undefined).length,
    active: open.reduce((sum, { active }) => sum + active, 0),
    appNames: [...new Set(open.map(({ appName }) => appName).filter((name) => name !== undefined))],
    cursors: cursors.size,
    sessions: sessions.size,
    transactions: transactions.size,
  }
}

/** Commands that need no login. */
const OPEN_TO_ALL = new Set(['hello', 'isMaster', 'ismaster', 'saslStart', 'saslContinue', 'ping', 'buildInfo'])

class Connection {
  readonly id = ++lastConnectionId
  readonly #socket: Socket
  #login: ScramLogin | undefined
  user: string | undefined
  appName: string | undefined
  /** Commands that run now, those that only wait for news aside. */
  active = 0

  constructor(socket: Socket) {
    this.#socket = socket
    const reader = new RequestReader()
    socket.on('error', () => undefined)
    socket.once('close', () => connections.delete(this))
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const request of reader.read(chunk)) void this.#serve(request)
      } catch {
        socket.destroy()
      }
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #send(request: Pick<Request, 'requestId' | 'isLegacy'>, document: Document, moreToCome = false): number {
    const { bytes, id } = replyTo(request, document, moreToCome)
    if (this.#socket.writable) this.#socket.write(bytes)
    return id
  }

  async #serve(request: Request): Promise<void> {
    const { command } = request
    const [name = ''] = Object.keys(command)
    counts.commands[name] = (counts.commands[name] ?? 0) + 1
    const session = sessionOf(command)
    if (session !== undefined) sessions.add(session)
    if (/^(hello|ismaster)$/i.test(name)) {
      await this.#hello(request, name)
      return
    }
    this.active++
    const active = [...connections].reduce((sum, each) => sum + each.active, 0)
    counts.mostActive = Math.max(counts.mostActive, active)
    const reply = await this.#answer(name, command)
    this.active--
    if (reply !== undefined && !request.unanswered) this.#send(request, reply)
  }

  /** The reply, or nothing where the connection is cut instead. */
  async #answer(name: string, command: Document): Promise<Document | undefined> {
    try {
      const failure = failPoint.take(name, this.appName)
      if (failure !== undefined && failure.blockMillis > 0) await sleep(failure.blockMillis)
      if (failure?.closesConnection) {
        this.destroy()
        return undefined
      }
      if (failure?.error !== undefined) throw failure.error
      if (options.users !== undefined && this.user === undefined && !OPEN_TO_ALL.has(name)) throw unauthorized(name)
      const answer = await this.#run(name, command)
      const { writeConcernError } = failure ?? {}
      return { ...answer, ok: 1, ...(writeConcernError === undefined ? {} : { writeConcernError }) }
    } catch (error) {
      if (error instanceof CommandError) return error.toReply()
      return new CommandError(1, 'InternalError', error instanceof Error ? error.message : String(error)).toReply()
    }
  }

  async #run(name: string, command: Document): Promise<Document> {
    const own = this.#own[name]
    if (own !== undefined) return await own(command)
    const run = COMMANDS[name]
    if (run === undefined) throw notFound(name)
    const db = String(command['$db'] ?? 'test')
    if (!/Transaction$/.test(name)) transactions.check(command)
    return await run({ store, cursors, transactions, db, command, isPrimary: topology.isPrimary })
  }

  async #hello(request: Request, name: string): Promise<void> {
    const { command } = request
    const { application } = (command['client'] ?? {}) as { readonly application?: { readonly name?: string } }
    if (application?.name !== undefined) this.appName = application.name
    const failure = failPoint.take(name, this.appName)
    if (failure !== undefined && failure.blockMillis > 0) await sleep(failure.blockMillis)
    if (failure?.closesConnection) {
      this.destroy()
      return
    }
    if (failure?.error !== undefined) {
      this.#send(request, failure.error.toReply())
      return
    }
    const { topologyVersion, maxAwaitTimeMS } = command as {
      readonly topologyVersion?: Document
      readonly maxAwaitTimeMS?: number
    }
    const reply = (): Document => ({ ...topology.hello(this.id), ok: 1 })
    if (topology.isCurrent(topologyVersion) && maxAwaitTimeMS !== undefined) await topology.change(maxAwaitTimeMS)
    if (!request.exhaustAllowed || maxAwaitTimeMS === undefined) {
      this.#send(request, reply())
      return
    }
    // From here on the client only reads: a reply at every change, and one at least every `maxAwaitTimeMS`.
    let id = this.#send(request, reply(), true)
    while (!this.#socket.destroyed) {
      await topology.change(maxAwaitTimeMS)
      id = this.#send({ requestId: id, isLegacy: false }, reply(), true)
    }
  }

  /** Commands about the server and the connection. */
  readonly #own: Readonly<Record<string, (command: Document) => Document | Promise<Document>>> = {
    ping: () => ({}),
    sleep: async ({ millis }) => {
      await sleep(Number(millis ?? 100))
      return {}
    },
    buildInfo: () => ({ version: '7.0.0-wire-test', versionArray: [7, 0, 0, 0], maxBsonObjectSize: 16_777_216 }),
    saslStart: (command) => {
      this.#login = new ScramLogin(options.users ?? {})
      return this.#continue(command)
    },
    saslContinue: (command) => this.#continue(command),
    logout: () => {
      this.user = undefined
      return {}
    },
    endSessions: ({ endSessions }) => {
      for (const lsid of endSessions as Document[]) {
        const session = sessionOf({ lsid })
        if (session === undefined) continue
        sessions.delete(session)
        transactions.forget(session)
      }
      return {}
    },
    configureFailPoint: ({ mode, data }) => {
      failPoint.configure(mode, data as Document)
      return {}
    },
    serverStatus: () => ({
      connections: {
        current: connections.size,
        available: (options.maxConnections ?? 1_000) - connections.size,
        totalCreated: counts.accepted,
        active: view().active,
      },
    }),
    connectionStatus: () => ({
      authInfo: { authenticatedUsers: this.user === undefined ? [] : [{ user: this.user }] },
    }),
    whatsmyuri: () => ({ you: `${this.#socket.remoteAddress ?? ''}:${this.#socket.remotePort ?? 0}` }),
    replSetStepDown: ({ replSetStepDown: seconds }) => {
      topology.setPrimary(false)
      if (Number(seconds) > 0) setTimeout(() => topology.setPrimary(true), Number(seconds) * 1_000).unref()
      return {}
    },
  }

  #continue({ payload }: Document): Document {
    if (this.#login === undefined) throw new CommandError(17, 'ProtocolError', 'No SASL session state found')
    try {
      const bytes = Buffer.from((payload as { readonly buffer: Uint8Array }).buffer)
      const answer = this.#login.answer(bytes)
      if (answer.user !== undefined) {
        if (this.user === undefined) counts.logins++
        this.user = answer.user
      }
      return { conversationId: 1, done: answer.done, payload: answer.payload }
    } catch (error) {
      counts.failedLogins++
      throw error
    }
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  if (connections.size >= (options.maxConnections ?? Infinity)) {
    counts.refused++
    socket.destroy()
    return
  }
  counts.accepted++
  connections.add(new Connection(socket))
})

server.listen({ port: options.port, host: '127.0.0.1', backlog: 511 }, () => {
  takeOrders({
    view,
    shutdown: () => process.exit(0),
    reset: () => {
      counts = emptyCounts()
    },
    stepDown: () => topology.setPrimary(false),
    stepUp: () => topology.setPrimary(true),
    maxConnections: (limit) => {
      options.maxConnections = limit === 'Infinity' ? Infinity : Number(limit)
    },
    cutAll: () => {
      for (const connection of connections) connection.destroy()
    },
    failCommand: (value) => {
      const { mode, data } = JSON.parse(value) as { readonly mode: unknown; readonly data?: Document }
      failPoint.configure(mode, data)
    },
  })
})
