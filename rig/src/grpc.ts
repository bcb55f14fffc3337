import { fileURLToPath } from 'node:url'
import { makeSelfSigned } from './certificate.ts'
import { removeFolder, tempFolder } from './child.ts'
import { ProgramServer, type ProgramOptions } from './program-server.ts'
import { freePort } from './wait.ts'

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
export interface GrpcProgramOptions extends GrpcOptions, ProgramOptions {}

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

/** The service description, for clients: package `millpond.rig`, service `Echo`. */
export const RIG_PROTO = fileURLToPath(new URL('../proto/rig.proto', import.meta.url))

/** A real gRPC server in a process of its own, on a free port of 127.0.0.1. */
export class GrpcServer extends ProgramServer<GrpcProgramOptions> {
  protected readonly what = 'the gRPC server'

  constructor(folder: string, options: GrpcProgramOptions) {
    super('grpc-program.ts', folder, options)
  }

  /** What a client connects to. */
  get target(): string {
    return `${this.host}:${this.port}`
  }

  async view(): Promise<GrpcView> {
    return (await this.order('view')) as GrpcView
  }

  /** Counts anew from here on. */
  async reset(): Promise<void> {
    await this.order('reset')
  }

  /** Says goodbye (GOAWAY) to every connection, and goes on listening; streams may end within the grace time. */
  async drain(graceMillis = 60_000): Promise<void> {
    await this.order('drain', String(graceMillis))
  }

  /** What `grpc.health.v1` answers for a service; `''` is the whole server. */
  async setHealth(status: 'SERVING' | 'NOT_SERVING', service = ''): Promise<void> {
    await this.order('health', `${service}=${status}`)
  }
}

/** Starts a gRPC server that ends with this process. */
export async function startGrpc(options: GrpcOptions = {}): Promise<GrpcServer> {
  const folder = tempFolder('grpc')
  try {
    const tls = options.tls ? makeSelfSigned(folder, 'A gRPC server') : {}
    const server = new GrpcServer(folder, { health: true, ...options, ...tls, port: await freePort() })
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
