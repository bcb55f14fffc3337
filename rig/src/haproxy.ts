import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { removeFolder, tempFolder } from './child.ts'
import { NativeServer } from './native-server.ts'
import { freePort, waitFor } from './wait.ts'

export interface HaproxyOptions {
  /** `host:port` of each; named `s0`, `s1`, … */
  readonly backends: readonly string[]
  /** `tcp` passes on bytes, as for gRPC. @defaultValue 'http' */
  readonly mode?: 'http' | 'tcp'
  /** How long a connection may be idle between two requests; it is closed then without a word. @defaultValue '10s' */
  readonly keepAliveTimeout?: string
}

/** HAProxy with some backends, which it checks twice a second and takes turns with. */
export class HaproxyServer extends NativeServer {
  readonly #socket: string

  constructor(args: readonly string[], folder: string, port: number, socket: string) {
    super('haproxy', args, folder, port)
    this.#socket = socket
  }

  /** An order of its administrator: `disable server back/s0`, `show stat`. */
  async order(command: string): Promise<string> {
    return await new Promise((resolve, reject) => {
      let text = ''
      connect(this.#socket)
        .on('data', (chunk) => (text += chunk.toString()))
        .on('error', reject)
        .on('close', () => resolve(text))
        .end(`${command}\n`)
    })
  }

  /** The state of every backend as HAProxy sees it: `UP`, `DOWN`, `MAINT`, `DRAIN`. */
  async states(): Promise<Readonly<Record<string, string>>> {
    const lines = (await this.order('show stat')).split('\n').map((line) => line.split(','))
    return Object.fromEntries(
      lines.filter(([group, name]) => group === 'back' && name !== 'BACKEND').map((line) => [line[1], line[17]]),
    ) as Record<string, string>
  }
}

export async function startHaproxy({
  backends,
  mode = 'http',
  keepAliveTimeout = '10s',
}: HaproxyOptions): Promise<HaproxyServer> {
  const folder = tempFolder('haproxy')
  try {
    const port = await freePort()
    const [file, socket] = [join(folder, 'haproxy.cfg'), join(folder, 'admin.sock')]
    writeFileSync(
      file,
      `global
  stats socket ${socket} level admin
  maxconn 1000
defaults
  mode ${mode}
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive ${keepAliveTimeout}
  retries 2
  option redispatch
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  balance roundrobin
${backends.map((backend, index) => `  server s${index} ${backend} check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions`).join('\n')}
`,
    )
    const server = new HaproxyServer(['-db', '-f', file], folder, port, socket)
    await server.start()
    await waitFor(async () => Object.values(await server.states()).every((state) => state.startsWith('UP')), {
      what: 'HAProxy sees its backends',
      timeoutMillis: 15_000,
    })
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
