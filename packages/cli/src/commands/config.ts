import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { InvalidArgumentError } from 'commander'
import { helpText, KINDS, optionHelp, poolConfig, readConfigFile, type Kind, type PoolConfig } from 'millpond/config'
import { parse } from 'yaml'
import type { CommandModule } from '../command.ts'
import { EXIT, UsageError } from '../io.ts'
import { painter, table, wrap, withCode } from '../terminal.ts'

interface Options {
  readonly file?: string
  readonly envFile: readonly string[]
  readonly root: string
  readonly options?: Kind
  readonly all?: true
  readonly json?: true
}

/** Where a project’s pools may stand. */
const FILES = ['millpond.yaml', 'millpond.yml', 'millpond.json', 'pools.yaml', 'pools.yml', 'pools.json']

export const config: CommandModule = {
  add(program, io, done) {
    program
      .command('config')
      .description(
        'show what each pool is configured with, and which variable, file, preset or profile says so; secrets are masked',
      )
      .argument('[pools...]', 'only these; also pools that are configured by variables alone')
      .option('--file <file>', `the file of the pools (default: ${FILES.slice(0, 3).join(', ')} …)`)
      .option('--env-file <files...>', 'files with variables, under those of this process', [])
      .option('--root <folder>', 'the folder of the project', '.')
      .option('--options <kind>', 'list the options of a kind, with their variables and defaults', kindOf)
      .option('--all', 'show what nobody has set too')
      .option('--print', 'does nothing: printing is what this command does')
      .option('--json', 'for programs')
      .action((names: string[], options: Options) => {
        if (options.options !== undefined) {
          const kind = options.options
          io.out(options.json === true ? `${JSON.stringify(optionHelp(kind), null, 2)}\n` : helpText(kind))
          done(EXIT.ok)
          return
        }
        const { configs, mistakes } = resolvePools(names, options, io)
        if (configs.length + mistakes.length === 0)
          throw new UsageError(
            `no pool found: no ${FILES[0] ?? ''}, and no variable such as DATABASE_URL; name one, or give --file`,
          )
        if (options.json === true) {
          const pools = configs.map((each) => ({ ...each.toJSON(), notices: each.notices }))
          io.out(`${JSON.stringify({ pools, mistakes }, null, 2)}\n`)
        } else {
          const paint = painter(io)
          for (const each of configs) {
            io.out(`\n  ${paint(each.name, 'bold')}  ${paint(`${each.kind}, profile ${each.profile}`, 'dim')}\n\n`)
            const rows = each.rows().filter(({ source }) => options.all === true || source !== 'default')
            io.out(
              `${table(
                ['option', 'value', 'source'],
                rows.map(({ option, value, source }) => [option, value, source]),
                paint,
              )}\n`,
            )
            for (const { message } of each.notices)
              io.out(
                `\n${wrap(message, io.width - 4)
                  .map(
                    (line, index) =>
                      `  ${index === 0 ? paint('!', 'yellow', 'bold') : ' '} ${withCode(line, paint, io.color)}`,
                  )
                  .join('\n')}\n`,
              )
          }
          io.out('\n')
          for (const mistake of mistakes)
            io.out(
              `${mistake
                .split('\n')
                .map(
                  (line, index) =>
                    `  ${index === 0 ? paint('✗', 'red', 'bold') : ' '} ${withCode(line, paint, io.color)}`,
                )
                .join('\n')}\n\n`,
            )
        }
        done(mistakes.length > 0 ? EXIT.findings : EXIT.ok)
      })
  },
}

function resolvePools(
  names: readonly string[],
  options: Options,
  io: { cwd: string; env: Readonly<Record<string, string | undefined>> },
): { configs: PoolConfig[]; mistakes: string[] } {
  const root = resolve(io.cwd, options.root)
  const env: Record<string, string | undefined> = {}
  for (const file of options.envFile) {
    if (!existsSync(resolve(root, file))) throw new UsageError(`there is no ${file} in ${root}`)
    Object.assign(env, parseEnv(readFileSync(resolve(root, file), 'utf8')))
  }
  Object.assign(env, io.env)
  const file = options.file ?? FILES.find((name) => existsSync(join(root, name)))
  const configs: PoolConfig[] = []
  const mistakes: string[] = []
  const attempt = (get: () => PoolConfig | undefined): void => {
    try {
      const found = get()
      if (found !== undefined) configs.push(found)
    } catch (error) {
      mistakes.push((error as Error).message)
    }
  }
  let entries: Readonly<Record<string, unknown>> = {}
  if (file !== undefined) {
    if (!existsSync(resolve(root, file))) throw new UsageError(`there is no ${file} in ${root}`)
    attempt(() => {
      entries = readConfigFile(resolve(root, file), parse)
      return undefined
    })
  }
  const wanted = names.length > 0 ? names : Object.keys(entries)
  for (const name of wanted) {
    const settings = entries[name]
    attempt(() =>
      poolConfig({
        name,
        env,
        ...(file === undefined || settings === undefined ? {} : { file: { name: file, settings } }),
      }),
    )
  }
  // Nothing but variables: a pool for each kind of server that they name.
  if (wanted.length === 0 && mistakes.length === 0) {
    for (const kind of KINDS) {
      attempt(() => {
        const found = poolConfig({ name: kind, env, code: { kind } })
        const isNamed = (['url', 'host', 'target', 'baseUrl'] as const).some(
          (option) => (found.rows().find((row) => row.option === option)?.source ?? 'default') !== 'default',
        )
        return isNamed ? found : undefined
      })
    }
  }
  return { configs, mistakes }
}

function kindOf(text: string): Kind {
  const kind = KINDS.find((each) => each === text)
  if (kind === undefined) throw new InvalidArgumentError(`expected one of ${KINDS.join(', ')}.`)
  return kind
}
