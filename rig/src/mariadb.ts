import { execFileSync, type ChildProcess } from 'node:child_process'
import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { makeSelfSigned } from './certificate.ts'
import {
  endChild,
  findProgram,
  hasEnded,
  isRoot,
  NOBODY,
  removeFolder,
  pauseAll,
  signalAll,
  spawnServer,
  tempFolder,
} from './child.ts'
import { NotInstalledError } from './not-installed.ts'
import { freePort, waitFor } from './wait.ts'

export interface MariaDbOptions {
  /** Options of `mariadbd`, on top of the rig's own: `{ 'max-connections': 20 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** The password of the user `app`. @defaultValue 'rig-password' */
  readonly password?: string
  /** Serves TLS with a certificate made for the occasion. Needs `openssl`. @defaultValue false */
  readonly tls?: boolean
}

/** Where Debian and others keep the server. */
const FOLDERS = ['/usr/sbin', '/usr/libexec', '/usr/local/sbin', '/opt/homebrew/bin']

interface MariaDbPrograms {
  readonly server: string
  readonly install: string
}

/** @throws {NotInstalledError} with what to install */
export function checkMariaDb(): MariaDbPrograms {
  const server = findProgram('mariadbd', FOLDERS)
  const install = findProgram('mariadb-install-db', FOLDERS)
  if (server === undefined || install === undefined) {
    throw new NotInstalledError(
      'mariadbd is not installed; `node scripts/install-servers.mjs` does it on Debian and Ubuntu as root',
    )
  }
  return { server, install }
}

// What a server for tests needs: nothing survives it anyway, and logins are counted by its user statistics.
const SETTINGS: Readonly<Record<string, string | number>> = {
  'bind-address': '127.0.0.1',
  'skip-name-resolve': 1,
  'innodb-flush-log-at-trx-commit': 0,
  'innodb-flush-method': 'nosync',
  'innodb-doublewrite': 0,
  'innodb-buffer-pool-size': '32M',
  'max-connections': 100,
  'thread-cache-size': 0,
  userstat: 1,
}

/**
 * A real MariaDB server on a free port of 127.0.0.1, in a temporary folder: a database `app`, and a user `app` who may
 * do everything in it and nothing beside it.
 */
export class MariaDbServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly user = 'app'
  readonly database = 'app'
  readonly port: number
  readonly password: string
  readonly #folder: string
  readonly #program: string
  readonly #settings: Readonly<Record<string, string | number>>
  #child: ChildProcess | undefined
  #log = ''

  constructor(
    folder: string,
    port: number,
    program: string,
    { settings = {}, password = 'rig-password' }: MariaDbOptions,
  ) {
    this.#folder = folder
    this.#program = program
    this.port = port
    this.password = password
    this.#settings = {
      ...SETTINGS,
      datadir: join(folder, 'data'),
      tmpdir: folder,
      socket: join(folder, 's'),
      'pid-file': join(folder, 'pid'),
      'init-file': join(folder, 'init.sql'),
      port,
      ...settings,
    }
  }

  /** What `mysql2` needs to connect. */
  get config(): { host: string; port: number; user: string; database: string; password: string } {
    const { host, port, user, database, password } = this
    return { host, port, user, database, password }
  }

  get uri(): string {
    return `mysql://${this.user}:${encodeURIComponent(this.password)}@${this.host}:${this.port}/${this.database}`
  }

  /** The superuser's, for the rig itself: the server keeps a connection for it when it is full. */
  get rootConfig(): { host: string; port: number; user: string } {
    return { host: this.host, port: this.port, user: 'root' }
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.isRunning) throw new Error('the MariaDB server is not running')
    return pid
  }

  /** Everything the server has logged since it was made, over all restarts. */
  logText(): string {
    return this.#log
  }

  /** The certificate of a server started with `tls`. */
  certificate(): string {
    return readFileSync(join(this.#folder, 'server.crt'), 'utf8')
  }

  /** Starts the server again on its port, with its data, after {@link halt} or {@link kill}. */
  async start(): Promise<void> {
    if (this.isRunning) return
    const settings = Object.entries(this.#settings).map(([name, value]) => `--${name}=${value}`)
    const child = spawnServer(this.#program, ['--no-defaults', ...settings], {
      cwd: this.#folder,
      asNobody: isRoot,
      endsOn: 'TERM',
    })
    this.#child = child
    const note = (chunk: Buffer): void => {
      this.#log += chunk.toString()
    }
    child.stdout?.on('data', note)
    child.stderr?.on('data', note)
    await waitFor(
      async () => {
        // The user comes last in the init file, which runs before the server listens.
        const connection = await mysql.createConnection(this.rootConfig)
        await connection.end()
        return true
      },
      {
        what: 'MariaDB answers',
        timeoutMillis: 30_000,
        everyMillis: 20,
        unless: () => hasEnded(child) && `MariaDB ended while it started:\n${this.#log.slice(-2_000)}`,
      },
    )
  }

  /** Ends the server in order: it says goodbye to nobody, but writes what it has. The port stays its own. */
  async halt(): Promise<void> {
    this.resume()
    if (this.#child !== undefined) await endChild(this.#child, 'SIGTERM', 10_000)
  }

  /** Kills the server without a goodbye. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, 'SIGKILL')
  }

  async restart(): Promise<void> {
    await this.halt()
    await this.start()
  }

  /** Stops the server where it stands: connections stay open, nobody answers. */
  pause(): void {
    pauseAll([this.pid])
  }

  resume(): void {
    if (this.isRunning) signalAll([this.pid], 'SIGCONT')
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    this.resume()
    // Nobody needs what it would write.
    await this.kill()
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function initialise(folder: string, install: string, { password = 'rig-password' }: MariaDbOptions): void {
  writeFileSync(
    join(folder, 'init.sql'),
    [
      'CREATE DATABASE IF NOT EXISTS app CHARACTER SET utf8mb4;',
      `CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY '${password.replaceAll("'", "''")}';`,
      "GRANT ALL ON app.* TO 'app'@'%';",
    ].join('\n'),
  )
  const args = [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
  ]
  try {
    // Temporary tables of two servers that are made at once have the same names.
    const env = { ...process.env, TMPDIR: folder }
    execFileSync(install, args, { cwd: folder, env, stdio: 'pipe', ...(isRoot ? NOBODY : {}) })
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: Buffer; stdout?: Buffer }
    throw new Error(`mariadb-install-db failed: ${String(stderr)}${String(stdout)}`, { cause: error })
  }
}

/** Starts a MariaDB server that ends with this process. */
export async function startMariaDb(options: MariaDbOptions = {}): Promise<MariaDbServer> {
  const { server: program, install } = checkMariaDb()
  const folder = tempFolder('maria')
  if (isRoot) chownSync(folder, NOBODY.uid, NOBODY.gid)
  try {
    initialise(folder, install, options)
    const tls = options.tls ? tlsSettings(folder) : {}
    const server = new MariaDbServer(folder, await freePort(), program, {
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

function tlsSettings(folder: string): Record<string, string> {
  const { key, certificate } = makeSelfSigned(folder, 'MariaDB')
  return { 'ssl-key': key, 'ssl-cert': certificate, 'ssl-ca': certificate }
}
