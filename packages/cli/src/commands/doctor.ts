import { resolve } from 'node:path'
import { Option } from 'commander'
import type { CommandModule } from '../command.ts'
import { examine } from '../doctor/examine.ts'
import { SEVERITIES, type Severity } from '../doctor/finding.ts'
import { EXIT } from '../io.ts'
import { millis, positive } from '../parse.ts'
import { progressTo } from '../progress.ts'
import { githubReport, jsonReport, sarifReport } from '../reports/machine.ts'
import { prettyReport } from '../reports/pretty.ts'
import { VERSION } from '../version.ts'

interface Options {
  readonly format: 'pretty' | 'json' | 'sarif' | 'github'
  readonly json?: true
  readonly connect?: true
  readonly url?: readonly string[]
  readonly instances?: number
  readonly natTimeout?: number
  readonly includeTests?: true
  readonly fix?: true
  readonly failOn: Severity
  readonly root: string
}

export const doctor: CommandModule = {
  add(program, io, done) {
    program
      .command('doctor')
      .description(
        'find the mistakes around connection pools: source, packages, configuration, environment, and servers if asked',
      )
      .argument('[paths...]', 'only these files and folders')
      .option('--root <folder>', 'the folder of the project', '.')
      .addOption(
        new Option('--format <format>', 'how to report')
          .choices(['pretty', 'json', 'sarif', 'github'])
          .default('pretty'),
      )
      .option('--json', 'the same as --format json')
      .option('--connect', 'ask the servers that the environment and .env files name; without it, none of them')
      .option('--url <url...>', 'ask these servers; those of the environment only with --connect')
      .option(
        '--instances <n>',
        'how many copies of the program run (default: what deployment files say, else 1)',
        positive,
      )
      .option(
        '--nat-timeout <duration>',
        'after how long the network forgets a silent connection: 350s on AWS, 4m on Azure',
        millis,
      )
      .option('--include-tests', 'look at tests too')
      .option('--fix', 'mend what is mechanical')
      .addOption(
        new Option('--fail-on <severity>', 'exit with 1 from here on').choices([...SEVERITIES]).default('error'),
      )
      .action(async (paths: string[], options: Options) => {
        const progress = progressTo(io)
        const examination = await examine({
          root: resolve(io.cwd, options.root),
          env: io.env,
          paths,
          includeTests: options.includeTests ?? false,
          fix: options.fix ?? false,
          connect: options.connect ?? false,
          urls: options.url ?? [],
          ...(options.instances === undefined ? {} : { instances: options.instances }),
          ...(options.natTimeout === undefined ? {} : { natTimeoutMillis: options.natTimeout }),
          progress: (text) => {
            progress.say(text)
          },
        })
        progress.end()
        if (options.connect === true && examination.asked.length === 0)
          io.err(
            'No server was asked: the environment and .env files name none (DATABASE_URL and the like); give --url.\n',
          )
        const format = options.json === true ? 'json' : options.format
        if (format === 'pretty') io.out(`\n${prettyReport(examination, io)}\n`)
        if (format === 'json') io.out(jsonReport(examination))
        if (format === 'sarif') io.out(sarifReport(examination, VERSION))
        if (format === 'github') io.out(githubReport(examination))
        const limit = SEVERITIES.indexOf(options.failOn)
        const fails = examination.findings.some(
          ({ severity, id }) => id !== 'server-unreachable' && SEVERITIES.indexOf(severity) <= limit,
        )
        done(fails ? EXIT.findings : examination.unreachable > 0 ? EXIT.unreachable : EXIT.ok)
      })
  },
}
