import type { Command } from 'commander'
import type { Io } from './io.ts'

/** One command of the program. Each has a file of its own in `commands/`, and is named in `program.ts`. */
export interface CommandModule {
  /** Adds itself to the program. The action hands its exit code to `done`. */
  add(program: Command, io: Io, done: (code: number) => void): void
}
