import { resolve } from 'node:path'
import type { CommandModule } from '../command.ts'
import { surroundingsOf } from '../doctor/environment.ts'
import { readProject } from '../doctor/project.ts'
import { EXIT, UsageError } from '../io.ts'
import { progressTo } from '../progress.ts'
import { askServer, reasonOf } from '../servers/ask.ts'
import { targetOf, targetsIn, type Target } from '../servers/target.ts'
import { painter, table } from '../terminal.ts'

interface Row {
  readonly server: string
  readonly kind: string
  readonly variable?: string
  readonly ok: boolean
  readonly version?: string
  readonly connectMillis?: number
  readonly pingMillis?: number
  readonly used?: number
  readonly limit?: number
  readonly tls?: boolean
  readonly error?: string
}

export const check: CommandModule = {
  add(program, io, done) {
    program
      .command('check')
      .description('connect to servers with the project’s own drivers, and show how long it takes and what they grant')
      .argument('[urls...]', 'servers; without them those that the environment names, which takes --connect')
      .option('--connect', 'ask the servers that the environment and .env files name')
      .option('--root <folder>', 'the folder of the project', '.')
      .option('--json', 'for programs')
      .action(async (urls: string[], options: { connect?: true; root: string; json?: true }) => {
        const root = resolve(io.cwd, options.root)
        const named = (): Target[] => targetsIn(surroundingsOf(readProject(root), io.env))
        const targets = urls.length > 0 ? urls.map((url) => targetOf(url)) : named()
        if (targets.length === 0)
          throw new UsageError('no server to check: name one by its URL, or set DATABASE_URL and the like')
        if (urls.length === 0 && options.connect !== true) {
          const found = targets.map(({ shown, variable }) => `${shown} (${variable ?? ''})`).join(', ')
          throw new UsageError(
            `the environment names ${found}; add --connect to ask ${targets.length === 1 ? 'it' : 'them'}`,
          )
        }
        const progress = progressTo(io)
        const rows: Row[] = []
        for (const target of targets) {
          progress.say(`asking ${target.shown}`)
          rows.push(await rowOf(root, target))
        }
        progress.end()
        if (options.json === true) io.out(`${JSON.stringify(rows, null, 2)}\n`)
        else {
          const paint = painter(io)
          const millis = (value: number | undefined): string => (value === undefined ? '–' : `${value.toFixed(1)} ms`)
          const connections = ({ used, limit }: Row): string =>
            used === undefined ? '–' : `${used}${limit === undefined ? '' : ` of ${limit}`}`
          io.out(`\n${table(
            ['', 'server', 'version', 'connect', 'ping', 'connections', 'TLS'],
            rows.map((row) => [
              row.ok ? '✓' : '✗', row.server, row.version ?? '–', millis(row.connectMillis), millis(row.pingMillis), connections(row), row.tls === undefined ? '–' : row.tls ? 'yes' : 'no',
            ]),
            paint,
          ).replaceAll('✓', paint('✓', 'green')).replaceAll('✗', paint('✗', 'red'))}\n\n`) // prettier-ignore
          for (const { server, error } of rows)
            if (error !== undefined) io.out(`  ${paint('✗', 'red')} ${server}: ${error}\n\n`)
        }
        done(rows.every(({ ok }) => ok) ? EXIT.ok : EXIT.unreachable)
      })
  },
}

async function rowOf(root: string, target: Target): Promise<Row> {
  const { shown: server, kind, variable } = target
  const named = { server, kind, ...(variable === undefined ? {} : { variable }) }
  try {
    const { version, connectMillis, pingMillis, used, limit, tls } = await askServer(root, target)
    return {
      ...named,
      ok: true,
      version,
      connectMillis,
      pingMillis,
      used,
      tls,
      ...(Number.isFinite(limit) ? { limit } : {}),
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    return { ...named, ok: false, error: reasonOf(error, target) }
  }
}
