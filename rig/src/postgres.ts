import { execFileSync, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { makeSelfSigned } from './certificate.ts'
import {
  childPids,
  endChild,
  hasEnded,
  isRoot,
  NOBODY,
  removeFolder,
  pauseAll,
  signalAll,
  spawnServer,
  tempFolder,
} from './child.ts'
import { findPostgres, type PostgresBinaries, type PostgresMajor } from './postgres-binaries.ts'
import { freePort, sleep, waitFor } from './wait.ts'

export interface PostgresOptions {
  /** @defaultValue 18 */
  readonly major?: PostgresMajor
  /** Lines of `postgresql.conf`, on top of the rig's own. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** @defaultValue 'trust' */
  readonly auth?: 'trust' | 'scram-sha-256'
  /** @defaultValue 'rig-password' */
  readonly password?: string
  /** Serves TLS with a certificate made for the occasion. Needs `openssl`. @defaultValue false */
  readonly tls?: boolean
}

// What a server for tests needs: nothing survives it anyway, and logins are counted from its log.
const SETTINGS: Readonly<Record<string, string | number>> = {
  listen_addresses: '127.0.0.1',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  max_connections: 100,
  log_connections: 'on',
  log_line_prefix: '%m [%p] ',
  logging_collector: 'off',
  autovacuum: 'off',
}

/** A real PostgreSQL server on a free port of 127.0.0.1, in a temporary folder. */
export class PostgresServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly user = 'postgres'
  readonly database = 'postgres'
  readonly major: PostgresMajor
  readonly port: number
  readonly password: string
  readonly dataFolder: string
  readonly #folder: string
  readonly #binaries: PostgresBinaries
  readonly #settings: Readonly<Record<string, string | number>>
  #child: ChildProcess | undefined
  #log = ''
  #paused: number[] = []

  constructor(
    folder: string,
    port: number,
    binaries: PostgresBinaries,
    { major = 18, settings = {}, password = 'rig-password' }: PostgresOptions,
  ) {
    this.#folder = folder
    this.#binaries = binaries
    this.#settings = {
      ...SETTINGS,
      port,
      unix_socket_directories: process.platform === 'win32' ? '' : folder,
      ...settings,
    }
    this.major = major
    this.port = port
    this.password = password
    this.dataFolder = join(folder, 'data')
  }

  get connectionString(): string {
    return `postgres://${this.user}:${encodeURIComponent(this.password)}@${this.host}:${this.port}/${this.database}`
  }

  /** What `pg` needs to connect. */
  get config(): { host: string; port: number; user: string; database: string; password: string } {
    const { host, port, user, database, password } = this
    return { host, port, user, database, password }
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  /** The server's process; it is the same one on the way through `setpriv`. */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.isRunning) throw new Error('the PostgreSQL server is not running')
    return pid
  }

  /** Everything the server has logged since it was made, over all restarts. */
  logText(): string {
    return this.#log
  }

  /** Starts the server again on its port, after {@link stop} or {@link kill}. */
  async start(): Promise<void> {
    if (this.isRunning) return
    const settings = Object.entries(this.#settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawnServer(this.#binaries.postgres, ['-D', this.dataFolder, ...settings], {
      cwd: this.#folder,
      asNobody: isRoot,
    })
    this.#child = child
    const note = (chunk: Buffer): void => {
      this.#log += chunk.toString()
    }
    child.stdout?.on('data', note)
    child.stderr?.on('data', note)
    await waitFor(
      async () => {
        return await this.#answers()
      },
      {
        what: 'PostgreSQL answers',
        timeoutMillis: 20_000,
        everyMillis: 15,
        unless: () => hasEnded(child) && `PostgreSQL ended while it started:\n${this.#log.slice(-2_000)}`,
      },
    )
  }

  async #answers(): Promise<boolean> {
    const client = new pg.Client({
      ...this.config,
      connectionTimeoutMillis: 2_000,
      ...(existsSync(join(this.#folder, 'server.crt')) ? { ssl: { rejectUnauthorized: false } } : {}),
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query('SELECT 1')
      return true
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** Ends the server: `fast` says goodbye to its clients, `immediate` does not. The port stays its own. */
  async halt(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.resume()
    if (this.#child !== undefined) await endChild(this.#child, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  }

  /** Kills the server and everything it has started, without a goodbye. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined || hasEnded(child)) return
    const pids = childPids(child.pid)
    const ended = endChild(child, 'SIGKILL')
    signalAll(pids, 'SIGKILL')
    await ended
    // Their shared memory must be free before the server can start again.
    await sleep(50)
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.halt(mode)
    await this.start()
  }

  /** Stops the processes of the server where they stand: connections stay open, nobody answers. */
  pause(): void {
    this.#paused = [this.pid, ...childPids(this.pid)]
    pauseAll(this.#paused)
  }

  resume(): void {
    signalAll(this.#paused, 'SIGCONT')
    this.#paused = []
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    await this.halt('fast')
    removeFolder(this.#folder)
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

function initialise(
  folder: string,
  binaries: PostgresBinaries,
  { auth = 'trust', password = 'rig-password' }: PostgresOptions,
): void {
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password, { mode: 0o644 })
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'C'
  const args = [
    '-D',
    join(folder, 'data'),
    '-U',
    'postgres',
    '-A',
    auth,
    `--pwfile=${passwordFile}`,
    '-E',
    'UTF8',
    `--locale=${locale}`,
    '--no-sync',
  ]
  try {
    execFileSync(binaries.initdb, args, { cwd: folder, stdio: 'pipe', ...(isRoot ? NOBODY : {}) })
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer }
    throw new Error(`initdb failed: ${stderr?.toString() ?? String(error)}`, { cause: error })
  }
}

function tlsSettings(folder: string): Record<string, string> {
  const { key, certificate } = makeSelfSigned(folder, 'PostgreSQL')
  return { ssl: 'on', ssl_key_file: key, ssl_cert_file: certificate }
}

/** Starts a PostgreSQL server that ends with this process. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = tempFolder('pg')
  if (isRoot) chownSync(folder, NOBODY.uid, NOBODY.gid)
  try {
    const binaries = findPostgres(options.major ?? 18, folder)
    initialise(folder, binaries, options)
    const tls = options.tls ? tlsSettings(folder) : {}
    const server = new PostgresServer(folder, await freePort(), binaries, {
      ...options,
      settings: { ...tls, ...options.settings },
    })
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}

/** The certificate of a server started with `tls`. */
export function certificateOf(server: PostgresServer): string {
  return readFileSync(join(server.dataFolder, '..', 'server.crt'), 'utf8')
}
