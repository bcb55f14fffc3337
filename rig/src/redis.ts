import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { makeSelfSigned } from './certificate.ts'
import { endChild, hasEnded, pauseAll, removeFolder, signalAll, spawnServer, tempFolder } from './child.ts'
import { findRedis } from './redis-binaries.ts'
import { askRedis, type Reply } from './resp.ts'
import { freePort, waitFor } from './wait.ts'

export interface RedisOptions {
  /** Lines of `redis.conf`, on top of the rig's own. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** The password of the default user. @defaultValue none */
  readonly password?: string
  /** ACL rules of further users, as in `user app on >secret ~* +@all`. */
  readonly users?: readonly string[]
  /** Serves TLS only, with a certificate made for the occasion. Needs `openssl`. @defaultValue false */
  readonly tls?: boolean
  /** Runs as a sentinel instead. @defaultValue false */
  readonly sentinel?: boolean
}

/** A client as the server sees it. */
export interface RedisClientInfo {
  readonly id: string
  readonly name: string
  readonly db: number
  /** The last command. */
  readonly cmd: string
  readonly flags: string
}

/** A real Redis server on a free port of 127.0.0.1, in a temporary folder. */
export class RedisServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly password: string | undefined
  readonly tls: boolean
  readonly folder: string
  readonly #program: string
  readonly #ownsFolder: boolean
  readonly #sentinel: boolean
  #child: ChildProcess | undefined
  #log = ''

  constructor(program: string, folder: string, ownsFolder: boolean, port: number, options: RedisOptions) {
    this.#program = program
    this.folder = folder
    this.#ownsFolder = ownsFolder
    this.port = port
    this.password = options.password
    this.tls = options.tls ?? false
    this.#sentinel = options.sentinel ?? false
  }

  /** What a driver needs to connect, in ioredis' words. */
  get config(): { host: string; port: number; password?: string } {
    const { host, port, password } = this
    return password === undefined ? { host, port } : { host, port, password }
  }

  get url(): string {
    const user = this.password === undefined ? '' : `:${encodeURIComponent(this.password)}@`
    return `${this.tls ? 'rediss' : 'redis'}://${user}${this.host}:${this.port}`
  }

  /** The certificate, with `tls`. */
  get certificate(): string {
    return readFileSync(join(this.folder, 'server.crt'), 'utf8')
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.isRunning) throw new Error('the Redis server is not running')
    return pid
  }

  /** Everything the server has logged since it was made, over all restarts. */
  logText(): string {
    return this.#log
  }

  /** A command over a connection of the rig's own. */
  async ask(...command: string[]): Promise<Reply> {
    return await this.askAll([command])
  }

  /** Commands over one connection of the rig's own; the last one's reply. */
  async askAll(commands: readonly (readonly string[])[]): Promise<Reply> {
    return await askRedis(this, commands)
  }

  /** The server's clients; those of the rig and other servers left out. */
  async clients(): Promise<RedisClientInfo[]> {
    const list = await this.askAll([
      ['CLIENT', 'SETNAME', 'millpond-rig'],
      ['CLIENT', 'LIST'],
    ])
    return String(list)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => new Map(line.split(' ').map((field) => field.split(/=(.*)/s, 2) as [string, string])))
      .map((fields) => ({
        id: fields.get('id') ?? '',
        name: fields.get('name') ?? '',
        db: Number(fields.get('db')),
        cmd: fields.get('cmd') ?? '',
        flags: fields.get('flags') ?? '',
      }))
      .filter(({ name, flags, cmd }) => name !== 'millpond-rig' && !/[SM]/.test(flags) && cmd !== 'restore-asking')
  }

  /** Ends clients from the server's side; tells how many. */
  async endClients(which: (client: RedisClientInfo) => boolean = () => true): Promise<number> {
    const ids = (await this.clients()).filter(which).map(({ id }) => id)
    for (const id of ids) await this.ask('CLIENT', 'KILL', 'ID', id)
    return ids.length
  }

  /** Connections that the server has taken since it started, those of the rig included. */
  async connectionsReceived(): Promise<number> {
    const info = String(await this.ask('INFO', 'stats'))
    return Number(/total_connections_received:(\d+)/.exec(info)?.[1])
  }

  async start(): Promise<void> {
    if (this.isRunning) return
    const args = [join(this.folder, 'redis.conf'), ...(this.#sentinel ? ['--sentinel'] : [])]
    const child = spawnServer(this.#program, args, { cwd: this.folder })
    this.#child = child
    const note = (chunk: Buffer): void => {
      this.#log += chunk.toString()
    }
    child.stdout?.on('data', note)
    child.stderr?.on('data', note)
    await waitFor(
      async () => {
        return (await this.ask('PING')) === 'PONG'
      },
      {
        what: 'Redis answers',
        timeoutMillis: 20_000,
        everyMillis: 15,
        unless: () => hasEnded(child) && `Redis ended while it started:\n${this.#log.slice(-2_000)}`,
      },
    )
  }

  /** Ends the server in order. The port stays its own. */
  async halt(): Promise<void> {
    this.resume()
    if (this.#child !== undefined) await endChild(this.#child, 'SIGTERM')
  }

  /** Kills the server without a goodbye. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, 'SIGKILL')
  }

  async restart(): Promise<void> {
    await this.halt()
    await this.start()
  }

  /** Stops the process where it stands: connections stay open, nobody answers. */
  pause(): void {
    pauseAll([this.pid])
  }

  resume(): void {
    if (this.isRunning) signalAll([this.pid], 'SIGCONT')
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    await this.halt()
    if (this.#ownsFolder) removeFolder(this.folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Whether somebody listens on the port. */
  async listens(): Promise<boolean> {
    return await new Promise((resolve) => {
      const socket = connect(this.port, this.host, () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
  }
}

function writeConfig(folder: string, port: number, options: RedisOptions): void {
  const settings: Record<string, string | number> = {
    bind: '127.0.0.1',
    dir: folder,
    port: options.tls ? 0 : port,
    ...(options.sentinel ? {} : { save: '""', appendonly: 'no', 'repl-diskless-sync-delay': 0 }),
    ...(options.password === undefined ? {} : { requirepass: options.password, masterauth: options.password }),
    ...options.settings,
  }
  if (options.tls) {
    const { key, certificate } = makeSelfSigned(folder, 'A Redis server')
    Object.assign(settings, { 'tls-port': port, 'tls-key-file': key, 'tls-cert-file': certificate })
    Object.assign(settings, { 'tls-ca-cert-file': certificate, 'tls-auth-clients': 'no' })
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  writeFileSync(join(folder, 'redis.conf'), [...lines, ...(options.users ?? []), ''].join('\n'))
}

/** Starts a Redis server that ends with this process; in a folder of its own unless one is given. */
export async function startRedis(options: RedisOptions = {}, within?: string): Promise<RedisServer> {
  const program = findRedis()
  const port = await freePort()
  const folder = within === undefined ? tempFolder('redis') : join(within, String(port))
  try {
    mkdirSync(folder, { recursive: true })
    writeConfig(folder, port, options)
    const server = new RedisServer(program, folder, within === undefined, port, options)
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
