import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { endChild, hasEnded, removeFolder, spawnServer, tempFolder } from './child.ts'
import { NotInstalledError } from './not-installed.ts'
import { freePort, waitFor } from './wait.ts'

const PACKAGE = '@jongodb/memory-server-bin-linux-x64-gnu'

/** Where the program of jongodb is: npm brings it for Linux on x64 alone. */
function programOf(): string | undefined {
  try {
    const program = join(dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)), 'bin', 'jongodb')
    return existsSync(program) ? program : undefined
  } catch {
    return undefined
  }
}

/**
 * jongodb (Apache-2.0), a server of other people that speaks MongoDB's wire protocol: a second opinion on what our own
 * wire-level test server says. It knows no login, no change streams, and no fail points.
 */
export class JongodbServer implements AsyncDisposable {
  readonly port: number
  readonly #child: ChildProcess
  readonly #folder: string

  constructor(child: ChildProcess, folder: string, port: number) {
    this.#child = child
    this.#folder = folder
    this.port = port
  }

  uri(): string {
    return `mongodb://127.0.0.1:${this.port}/test?directConnection=true`
  }

  async kill(): Promise<void> {
    await endChild(this.#child, 'SIGKILL')
  }

  async stop(): Promise<void> {
    await this.kill()
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Starts it. @throws {NotInstalledError} where npm brings no program for this machine */
export async function startJongodb(): Promise<JongodbServer> {
  const program = programOf()
  if (program === undefined)
    throw new NotInstalledError(`npm brings no jongodb for ${process.platform} on ${process.arch}`)
  const folder = tempFolder('jongodb')
  const port = await freePort()
  const child = spawnServer(program, ['--host=127.0.0.1', `--port=${port}`, '--database=test'], { cwd: folder })
  await waitFor(() => accepts(port), {
    what: 'jongodb listens',
    unless: () => hasEnded(child) && 'jongodb ended while it started',
  })
  return new JongodbServer(child, folder, port)
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
