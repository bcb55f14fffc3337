import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { endChild, hasEnded, pauseAll, removeFolder, spawnServer } from './child.ts'
import { compiled } from './compiled.ts'
import { waitFor } from './wait.ts'

/** What every program of the rig is told. */
export interface ProgramOptions {
  readonly port: number
  readonly key?: string
  readonly certificate?: string
}

/**
 * A server of the rig's own: a program of this folder in a process of its own, on a port of 127.0.0.1, steered over
 * HTTP on another one that it prints as `control <port>`.
 */
export abstract class ProgramServer<O extends ProgramOptions> implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  protected abstract readonly what: string
  readonly #program: string
  readonly #folder: string
  readonly #options: O
  #child: ChildProcess | undefined
  #controlPort = 0
  #log = ''

  /** @param program - the file's name, from this folder on */
  constructor(program: string, folder: string, options: O) {
    this.#program = program
    this.#folder = folder
    this.#options = options
    this.port = options.port
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.isRunning) throw new Error(`${this.what} is not running`)
    return pid
  }

  /** The certificate of a server with TLS. */
  certificate(): Buffer {
    if (this.#options.certificate === undefined) throw new Error(`${this.what} has no TLS`)
    return readFileSync(this.#options.certificate)
  }

  /** Starts the server again on its port, after {@link shutdown} or {@link kill}. */
  async start(): Promise<void> {
    if (this.isRunning) return
    const args = [compiled(this.#program), JSON.stringify(this.#options)]
    const child = spawnServer(process.execPath, args, { cwd: this.#folder })
    this.#child = child
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()))
    this.#controlPort = await waitFor(
      () => {
        const port = /control (\d+)\n/.exec(said)?.[1]
        return port === undefined ? undefined : Number(port)
      },
      {
        what: `${this.what} listens`,
        timeoutMillis: 30_000,
        unless: () => hasEnded(child) && `${this.what} ended while it started:\n${this.#log.slice(-2_000)}`,
      },
    )
  }

  /** Tells the program something; gives its answer. */
  protected async order(name: string, value = ''): Promise<unknown> {
    const query = new URLSearchParams({ value }).toString()
    const response = await fetch(`http://${this.host}:${this.#controlPort}/${name}?${query}`)
    return await response.json()
  }

  /** Stops the server where it stands: connections stay open, nobody answers. */
  pause(): void {
    pauseAll([this.pid])
  }

  resume(): void {
    if (this.isRunning) process.kill(this.pid, 'SIGCONT')
  }

  /** Ends the server in order: nothing new, and the end when what runs is over. */
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
