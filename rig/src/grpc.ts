import { execFileSync, type ChildProcess } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endChild, hasEnded, removeFolder, spawnServer, tempFolder } from './child.ts'
import { freePort, waitFor } from './wait.ts'

export interface GrpcOptions {
  /** How many streams the server allows on one connection. @defaultValue no limit */
  readonly maxConcurrentStreams?: number
  /** The server says goodbye (GOAWAY) to connections of about this age. @defaultValue never */
  readonly maxConnectionAgeMillis?: number
  /** How long their streams may go on after that. @defaultValue 60_000 */
  readonly maxConnectionAgeGraceMillis?: number
  /** Whether the server offers `grpc.health.v1`. @defaultValue true */
  readonly health?: boolean
  /** Serves TLS with a certificate made for the occasion. Needs `openssl`. @defaultValue false */
  readonly tls?: boolean
}

/** What the program of the server is told. */
export interface GrpcProgramOptions extends GrpcOptions {
  readonly port: number
  readonly key?: string
  readonly certificate?: string
}

/** What the server has seen since it started, or since the last {@link GrpcServer.reset}. */
export interface GrpcView {
  readonly calls: number
  readonly active: number
  readonly mostActive: number
  readonly mostActivePerConnection: number
  readonly cancelled: number
  /** The clients' ends of the connections that had a call. */
  readonly peers: readonly string[]
  readonly userAgents: readonly string[]
}

const PROGRAM = fileURLToPath(new URL('./grpc-program.ts', import.meta.url))
/** The service description, for clients: package `millpond.rig`, service `Echo`. */
export const RIG_PROTO = fileURLToPath(new URL('../proto/rig.proto', import.meta.url))

/** A real gRPC server in a process of its own, on a free port of 127.0.0.1. */
export class GrpcServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #folder: string
  readonly #options: GrpcProgramOptions
  #child: ChildProcess | undefined
  #controlPort = 0
  #log = ''

  constructor(folder: string, options: GrpcProgramOptions) {
    this.#folder = folder
    this.#options = options
    this.port = options.port
  }

  /** What a client connects to. */
  get target(): string {
    return `${this.host}:${this.port}`
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.isRunning) throw new Error('the gRPC server is not running')
    return pid
  }

  /** The certificate of a server with `tls`. */
  certificate(): Buffer {
    if (this.#options.certificate === undefined) throw new Error('the gRPC server has no TLS')
    return readFileSync(this.#options.certificate)
  }

  /** Starts the server again on its port, after {@link shutdown} or {@link kill}. */
  async start(): Promise<void> {
    if (this.isRunning) return
    const args = ['--import', import.meta.resolve('tsx'), PROGRAM, JSON.stringify(this.#options)]
    const child = spawnServer(process.execPath, args, { cwd: this.#folder })
    this.#child = child
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()))
    this.#controlPort = await waitFor(
      () => {
        if (hasEnded(child)) throw new Error(`the gRPC server ended while it started:\n${this.#log.slice(-2_000)}`)
        const port = /control (\d+)\n/.exec(said)?.[1]
        return port === undefined ? undefined : Number(port)
      },
      { what: 'the gRPC server listens', timeoutMillis: 20_000 },
    )
  }

  async view(): Promise<GrpcView> {
    return (await this.#order('view')) as GrpcView
  }

  /** Counts anew from here on. */
  async reset(): Promise<void> {
    await this.#order('reset')
  }

  /** Says goodbye (GOAWAY) to every connection, and goes on listening; streams may end within the grace time. */
  async drain(graceMillis = 60_000): Promise<void> {
    await this.#order('drain', String(graceMillis))
  }

  /** What `grpc.health.v1` answers for a service; `''` is the whole server. */
  async setHealth(status: 'SERVING' | 'NOT_SERVING', service = ''): Promise<void> {
    await this.#order('health', `${service}=${status}`)
  }

  async #order(name: string, value = ''): Promise<unknown> {
    const response = await fetch(
      `http://${this.host}:${this.#controlPort}/${name}?${new URLSearchParams({ value }).toString()}`,
    )
    return await response.json()
  }

  /** Stops the server where it stands: connections stay open, nobody answers. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    if (this.isRunning) process.kill(this.pid, 'SIGCONT')
  }

  /** Ends the server in order: GOAWAY, no new streams, and the end when the last one is over. */
  async shutdown(graceMillis = 5_000): Promise<void> {
    this.resume()
    if (this.#child !== undefined) await endChild(this.#child, 'SIGTERM', graceMillis)
  }

  /** Ends the server without a goodbye. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, 'SIGKILL')
  }

  async restart(how: 'shutdown' | 'kill' = 'shutdown'): Promise<void> {
    await this[how]()
    await this.start()
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    await this.kill()
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function makeCertificate(folder: string): { key: string; certificate: string } {
  const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.crt')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
      { stdio: 'pipe' },
    )
  } catch (error) {
    throw new Error('A gRPC server with TLS needs the program `openssl`', { cause: error })
  }
  chmodSync(key, 0o600)
  return { key, certificate }
}

/** Starts a gRPC server that ends with this process. */
export async function startGrpc(options: GrpcOptions = {}): Promise<GrpcServer> {
  const folder = tempFolder('grpc')
  try {
    const tls = options.tls ? makeCertificate(folder) : {}
    const server = new GrpcServer(folder, { health: true, ...options, ...tls, port: await freePort() })
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
