import { run } from '../src/program.ts'
import type { Io } from '../src/io.ts'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command line as a program would be run, and keeps what it says. */
export async function millpond(argv: readonly string[], surroundings: Partial<Io> = {}): Promise<Outcome> {
  let [out, err] = ['', '']
  const io: Io = {
    cwd: process.cwd(),
    env: {},
    color: false,
    width: 100,
    progress: false,
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    ...surroundings,
  }
  return { code: await run(argv, io), out, err }
}

/** The project of the guide that started this, with all its faults. */
export const GUIDE = new URL('./fixtures/guide/', import.meta.url).pathname
