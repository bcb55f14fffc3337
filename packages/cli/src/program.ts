import { Command, CommanderError } from 'commander'
import type { CommandModule } from './command.ts'
import { alerts } from './commands/alerts.ts'
import { bench } from './commands/bench.ts'
import { check } from './commands/check.ts'
import { config } from './commands/config.ts'
import { demo } from './commands/demo.ts'
import { doctor } from './commands/doctor.ts'
import { explain } from './commands/explain.ts'
import { size } from './commands/size.ts'
import { watch } from './commands/watch.ts'
import { EXIT, UsageError, type Io } from './io.ts'
import { painter } from './terminal.ts'
import { VERSION } from './version.ts'

/** In the order in which `millpond --help` lists them. */
const COMMANDS: readonly CommandModule[] = [doctor, explain, size, config, check, bench, watch, alerts, demo]

const AFTER_HELP = `
Exit codes: 0 all is well · 1 findings · 2 wrong usage · 3 a server could not be reached
Data goes to stdout, progress to stderr; every command has --json. NO_COLOR and FORCE_COLOR are heeded.
Servers are asked only when you say so: --connect, or by their URL.
`

/** Runs the command line, and returns the exit code. Never throws and never exits. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('millpond')
    .description('Connection pools: find mistakes, compute sizes, see what is configured.')
    .version(VERSION)
    .addHelpText('after', AFTER_HELP)
    .configureOutput({
      writeOut: (text) => {
        io.out(text)
      },
      writeErr: (text) => {
        io.err(text)
      },
      getOutHelpWidth: () => io.width,
      getErrHelpWidth: () => io.width,
    })
    .showSuggestionAfterError()
    .exitOverride()
  for (const command of COMMANDS) {
    command.add(program, io, (given) => {
      code = given
    })
  }
  for (const each of program.commands) each.copyInheritedSettings(program)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (!(error instanceof UsageError)) throw error
    io.err(`${painter(io)('error:', 'red', 'bold')} ${error.message}\n`)
    return EXIT.usage
  }
}
