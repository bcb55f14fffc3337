import { removeFolder, tempFolder } from './child.ts'
import { ProgramServer, type ProgramOptions } from './program-server.ts'
import { freePort } from './wait.ts'

export interface MongoWireOptions {
  /** Who may log in (SCRAM-SHA-256), with which password. @defaultValue everybody may do everything */
  readonly users?: Readonly<Record<string, string>>
  /** How many connections are accepted; the rest is cut at once. @defaultValue no limit */
  readonly maxConnections?: number
  /** The name of a replica set of which it is a member, alone where it is started alone. @defaultValue none */
  readonly replicaSet?: string
}

/** What the program of the server is told. */
export interface MongoWireProgramOptions extends ProgramOptions {
  readonly users?: Readonly<Record<string, string>>
  maxConnections?: number
  readonly replicaSet?: { readonly name: string; readonly hosts: readonly string[]; readonly isPrimary: boolean }
}

/** What the server sees, and what it has counted since it started or since the last {@link MongoWireServer.reset}. */
export interface MongoWireView {
  /** Connections that are open, those of drivers' monitors included. */
  readonly connections: number
  /** Of these, those that have logged in: with `users`, the ones of pools. */
  readonly authenticated: number
  /** Commands that run now. */
  readonly active: number
  readonly mostActive: number
  readonly accepted: number
  readonly refused: number
  readonly logins: number
  readonly failedLogins: number
  /** By name. */
  readonly commands: Readonly<Record<string, number>>
  readonly appNames: readonly string[]
  readonly cursors: number
  readonly sessions: number
  readonly transactions: number
}

/** As MongoDB's own fail point: https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point */
export interface FailCommand {
  readonly mode: 'alwaysOn' | 'off' | { readonly times?: number; readonly skip?: number }
  readonly data?: {
    readonly failCommands: readonly string[]
    readonly errorCode?: number
    readonly errorLabels?: readonly string[]
    readonly closeConnection?: boolean
    readonly blockConnection?: boolean
    readonly blockTimeMS?: number
    readonly appName?: string
    readonly writeConcernError?: object
  }
}

/**
 * A test server that speaks MongoDB's wire protocol, in a process of its own. It is not MongoDB: data is in memory,
 * transactions have no isolation, elections are made by the test. What it does is let real drivers connect, log in,
 * work, and be disturbed in every way that concerns a pool.
 */
export class MongoWireServer extends ProgramServer<MongoWireProgramOptions> {
  protected readonly what = 'the wire-level test server'
  readonly #options: MongoWireProgramOptions

  constructor(folder: string, options: MongoWireProgramOptions) {
    super('mongo-wire/program.ts', folder, options)
    this.#options = options
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  /** A connection string for the first user, or for one with another password. */
  uri({ password, options = {} }: { password?: string; options?: Readonly<Record<string, string>> } = {}): string {
    const { users, replicaSet } = this.#options
    const [first] = Object.entries(users ?? {})
    const login =
      first === undefined ? '' : `${encodeURIComponent(first[0])}:${encodeURIComponent(password ?? first[1])}@`
    const query = new URLSearchParams({
      ...(first === undefined ? {} : { authSource: 'admin', authMechanism: 'SCRAM-SHA-256' }),
      ...(replicaSet === undefined ? { directConnection: 'true' } : { replicaSet: replicaSet.name }),
      ...options,
    })
    return `mongodb://${login}${replicaSet?.hosts.join(',') ?? this.address}/test?${query.toString()}`
  }

  async view(): Promise<MongoWireView> {
    return (await this.order('view')) as MongoWireView
  }

  /** Counts anew from here on. */
  async reset(): Promise<void> {
    await this.order('reset')
  }

  async failCommand(failure: FailCommand): Promise<void> {
    await this.order('failCommand', JSON.stringify(failure))
  }

  /** Becomes secondary; drivers that watch are told at once. */
  async stepDown(): Promise<void> {
    await this.order('stepDown')
  }

  /** Becomes primary, by an election that wins over all before it. */
  async stepUp(): Promise<void> {
    await this.order('stepUp')
  }

  async limitConnections(limit: number): Promise<void> {
    await this.order('maxConnections', String(limit))
  }

  /** Ends every connection that is open. */
  async cutAll(): Promise<void> {
    await this.order('cutAll')
  }
}

async function startMember(options: MongoWireProgramOptions): Promise<MongoWireServer> {
  const folder = tempFolder('mongo-wire')
  try {
    const server = new MongoWireServer(folder, options)
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}

const given = ({ users, maxConnections }: MongoWireOptions): Omit<MongoWireProgramOptions, 'port'> => ({
  ...(users === undefined ? {} : { users }),
  ...(maxConnections === undefined ? {} : { maxConnections }),
})

/** Starts a wire-level test server that ends with this process. */
export async function startMongoWire(options: MongoWireOptions = {}): Promise<MongoWireServer> {
  const port = await freePort()
  const { replicaSet: name } = options
  const replicaSet = name === undefined ? {} : { replicaSet: { name, hosts: [`127.0.0.1:${port}`], isPrimary: true } }
  return await startMember({ ...given(options), ...replicaSet, port })
}

/** Starts the members of one replica set, the first of them as primary. Nothing is replicated between them. */
export async function startMongoWireSet(size: number, options: MongoWireOptions = {}): Promise<MongoWireServer[]> {
  const ports: number[] = []
  while (ports.length < size) {
    const port = await freePort()
    if (!ports.includes(port)) ports.push(port)
  }
  const hosts = ports.map((port) => `127.0.0.1:${port}`)
  return await Promise.all(
    ports.map((port, index) =>
      startMember({
        ...given(options),
        replicaSet: { name: options.replicaSet ?? 'rig', hosts, isPrimary: index === 0 },
        port,
      }),
    ),
  )
}
