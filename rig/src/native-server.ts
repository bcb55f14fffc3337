import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { isAbsolute } from 'node:path'
import { endChild, findProgram, hasEnded, removeFolder, spawnServer } from './child.ts'
import { NotInstalledError } from './not-installed.ts'
import { waitFor } from './wait.ts'

const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin']

/** Where the program is, which may be named by its path. @throws {NotInstalledError} where it is not installed */
export function installed(program: string): string {
  const path = isAbsolute(program) ? program : findProgram(program, FOLDERS)
  if (path === undefined)
    throw new NotInstalledError(`\`${program}\` is not installed; run node scripts/install-servers.mjs`)
  return path
}

/** A server program from the system, with a configuration in a temporary folder, on a port of 127.0.0.1. */
export class NativeServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #folder: string
  readonly #program: string
  readonly #args: readonly string[]
  readonly #asNobody: boolean
  readonly #leads: boolean
  #child: ChildProcess | undefined
  #log = ''

  /** @param how - `asNobody`: it refuses to be root; `leads`: it has processes of its own, which a kill would leave behind */
  constructor(
    program: string,
    args: readonly string[],
    folder: string,
    port: number,
    { asNobody = false, leads = false } = {},
  ) {
    this.#program = installed(program)
    this.#args = args
    this.#asNobody = asNobody
    this.#leads = leads
    this.#folder = folder
    this.port = port
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.#program} is not running`)
    return pid
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  /** What it wrote: its log. */
  get log(): string {
    return this.#log
  }

  async start(): Promise<void> {
    if (this.isRunning) return
    const child = spawnServer(this.#program, this.#args, {
      cwd: this.#folder,
      asNobody: this.#asNobody,
      leads: this.#leads,
    })
    this.#child = child
    for (const output of [child.stdout, child.stderr]) {
      output?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()))
    }
    await waitFor(
      async () => {
        return await answers(this.port)
      },
      {
        what: `${this.#program} listens`,
        timeoutMillis: 20_000,
        unless: () => hasEnded(child) && `${this.#program} ended while it started:\n${this.#log.slice(-2_000)}`,
      },
    )
  }

  /** Ends it by this signal: what it does with its connections is its own affair. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, signal)
  }

  async stop(): Promise<void> {
    await this.end(this.#leads ? 'SIGTERM' : 'SIGKILL')
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
