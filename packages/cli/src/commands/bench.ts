import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { bestOf, measure, type Run } from '../bench/load.ts'
import { connectionsTo, QUESTIONS } from '../bench/connections.ts'
import type { CommandModule } from '../command.ts'
import { EXIT, UsageError, type Io } from '../io.ts'
import { millis, positive } from '../parse.ts'
import { progressTo } from '../progress.ts'
import { reasonOf } from '../servers/ask.ts'
import { targetOf, type Target } from '../servers/target.ts'
import { painter, table, wrap } from '../terminal.ts'

interface Options {
  readonly sizes: readonly number[]
  readonly callers: number
  readonly for: number
  readonly query?: string
  readonly root: string
  readonly json?: true
}

export const bench: CommandModule = {
  add(program, io, done) {
    program
      .command('bench')
      .description('put a load of a few seconds on a server with pools of several sizes, and show what each gets done')
      .argument('<url>', 'the server: postgres://, mysql://, mongodb:// or redis://')
      .option('--sizes <sizes>', 'connections, with commas between', sizes, [1, 2, 4, 8, 16, 32])
      .option('--callers <n>', 'how many ask at the same time', positive, 64)
      .option('--for <duration>', 'how long each size is measured', millis, 2_000)
      .option('--query <text>', 'what is asked again and again: SQL, or a command of Redis (default: the least)')
      .option('--root <folder>', 'the folder of the project, whose driver is used', '.')
      .option('--json', 'for programs')
      .action(async (url: string, options: Options) => {
        done(await run(targetOf(url), options, io))
      })
  },
}

async function run(target: Target, options: Options, io: Io): Promise<number> {
  const { callers, json } = options
  if (target.kind === 'mongodb' && options.query !== undefined) throw new UsageError('MongoDB is asked to `ping`; it takes no --query') // prettier-ignore
  const query = options.query ?? QUESTIONS[target.kind]
  const factory = await connectionsTo(resolve(io.cwd, options.root), target, query)
  const progress = progressTo(io)
  const runs: Run[] = []
  let failure: { readonly size: number; readonly reason: string } | undefined
  for (const size of options.sizes) {
    progress.say(`${size} connections to ${target.shown}, for ${options.for / 1_000} s`)
    try {
      runs.push(await measure(factory, { size, callers, millis: options.for }))
    } catch (error) {
      if (error instanceof UsageError) throw error
      failure = { size, reason: reasonOf(error, target) }
      break
    }
  }
  progress.end()
  const best = bestOf(runs)
  if (json === true)
    io.out(`${JSON.stringify({ server: target.shown, kind: target.kind, query, callers, millis: options.for, runs, best: best?.size ?? null, failure: failure ?? null }, null, 2)}\n`) // prettier-ignore
  else io.out(report(target, query, callers, runs, failure, io))
  return runs.length === 0 ? EXIT.unreachable : EXIT.ok
}

const shownMillis = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`

function report(
  target: Target,
  query: string,
  callers: number,
  runs: readonly Run[],
  failure: { readonly size: number; readonly reason: string } | undefined,
  io: Io,
): string {
  const paint = painter(io)
  const best = bestOf(runs)
  const lines = [
    `\n  ${paint(target.shown, 'bold')}  ${paint(`${callers} callers, each asking \`${query}\``, 'dim')}\n`,
  ]
  if (runs.length > 0)
    lines.push(
      table(
        ['connections', 'a second', 'wait p50', 'wait p99', 'answer p50', 'answer p99', 'failed', ''],
        runs.map((each) => [
          String(each.size), String(Math.round(each.throughput)), shownMillis(each.waitMillis.p50), shownMillis(each.waitMillis.p99), shownMillis(each.useMillis.p50), shownMillis(each.useMillis.p99), String(each.errors), each === best ? '←' : '',
        ]),
        paint,
      ),
      '',
    ) // prettier-ignore
  const say = (text: string, mark = ' '): void => {
    lines.push(wrap(text, io.width - 4).map((line, index) => `  ${index === 0 ? mark : ' '} ${line}`).join('\n'), '') // prettier-ignore
  }
  if (best !== undefined)
    say(
      `${best.size} ${best.size === 1 ? 'connection gets' : 'connections get'} done what the server can do with this question, give or take 3 %: a larger pool moves the waiting from the pool into the server.`,
      paint('✓', 'green'),
    )
  if (best !== undefined && runs.length > 1 && best === runs.at(-1))
    say('It is the largest that was tried: more may get more done (--sizes).', paint('!', 'yellow', 'bold'))
  if (best !== undefined && best.ownShare > 0.9)
    say(
      `This process was at work for ${Math.round(best.ownShare * 100)} % of the time: it is the limit here, not the server. Ask something that costs the server more (--query), as your program does.`,
      paint('!', 'yellow', 'bold'),
    )
  if (failure !== undefined) say(`${failure.size} connections: ${failure.reason}.`, paint('✗', 'red'))
  return `${lines.join('\n')}\n`
}

function sizes(text: string): number[] {
  const values = text.split(',').map((each) => Number(each.trim()))
  if (values.some((value) => !Number.isInteger(value) || value < 1 || value > 10_000))
    throw new InvalidArgumentError('expected whole numbers from 1, such as 1,4,16.')
  return [...new Set(values)].sort((a, b) => a - b)
}
