// The programs of examples/ that run by themselves are started as a user starts them, on what `npm run build` made;
// the others are called in the process of the test.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { PostgresServer } from '@millpond/rig'

export const examples = fileURLToPath(new URL('../../examples/', import.meta.url))

/** What a file of examples/ exports. */
export const loadExample = async <M>(file: string): Promise<M> =>
  (await import(/* @vite-ignore */ `${examples}${file}`)) as M

/** The programs that a test has started. */
export class ExamplePrograms {
  readonly children: ChildProcess[] = []

  /** Starts a program of examples/, and gives what it says line by line. */
  start(
    file: string,
    { connectionString }: PostgresServer,
    env: NodeJS.ProcessEnv = {},
  ): { child: ChildProcess; said: string[] } {
    const child = spawn(process.execPath, [`${examples}${file}`], {
      env: { ...process.env, DATABASE_URL: connectionString, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.children.push(child)
    const said: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => said.push(line))
    return { child, said }
  }

  /** Ends those that have not ended by themselves. */
  async end(): Promise<void> {
    for (const child of this.children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
  }
}
