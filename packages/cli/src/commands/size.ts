import { Option } from 'commander'
import { loadBetween, size as compute, type OperatingPoint, type SizeAnswer, type SizeQuestion } from 'millpond/sizing'
import type { CommandModule } from '../command.ts'
import { EXIT, UsageError, type Io } from '../io.ts'
import { nearest } from '../nearest.ts'
import { number, points, positive, millis } from '../parse.ts'
import { progressTo } from '../progress.ts'
import { measuredReport, sizeReport, type MeasuredSize } from '../reports/size.ts'
import { lookAt, type Look, type RunningPool } from '../running/look.ts'
import { reasonOfFetch } from '../watch/scrape.ts'

interface Options {
  readonly from?: string
  readonly pool?: string
  readonly for: number
  readonly prefix: string
  readonly cores?: number
  readonly disks?: number
  readonly wait?: number
  readonly service?: number
  readonly use?: number
  readonly throughput?: readonly OperatingPoint[]
  readonly rate?: number
  readonly instances?: number
  readonly serverLimit?: number
  readonly reserved?: number
  readonly acceptableWait?: number
  readonly acceptableShare?: number
  readonly json?: true
}

export const size: CommandModule = {
  add(program, io, done) {
    program
      .command('size')
      .description(
        'compute how large a pool should be, from what is known or from a running process; each line says where it comes from',
      )
      .option('--from <address>', 'measure the pools of a running process: where its /metrics or its dashboard is')
      .option('--pool <name>', 'with --from: only this pool')
      .addOption(
        new Option('--for <duration>', 'with --from: how long to measure; the longer, the more it is worth')
          .argParser(millis)
          .default(10_000, '10s'),
      )
      .option('--prefix <prefix>', 'with --from: what the metrics begin with', 'millpond_')
      .option('--cores <n>', 'cores of the server', positive)
      .option('--disks <n>', 'effective disks of the server', number)
      .option(
        '--throughput <points>',
        'what the server got done with so many connections: 2:410,4:790,8:1200; millpond bench shows it',
        points,
      )
      .option('--rate <n>', 'leases asked for in a second, by all instances together', number)
      .option('--use <duration>', 'how long a lease is out: 20ms', millis)
      .option('--wait <duration>', 'how long a lease waits for something else than the server', millis)
      .option('--service <duration>', 'how long the server works on a lease', millis)
      .option('--instances <n>', 'how many copies of the program run, all like this one', positive)
      .option('--server-limit <n>', 'how many connections the server allows: max_connections', positive)
      .option('--reserved <n>', 'how many of them are kept for others', number)
      .option('--acceptable-wait <duration>', 'what a caller may wait', millis)
      .addOption(new Option('--acceptable-share <share>', 'how many may wait longer, from 0 to 1').argParser(number))
      .option('--json', 'for programs')
      .action(async (options: Options) => {
        const { from } = options
        if (from !== undefined) done(await fromRunning(from, options, io))
        else {
          if (options.pool !== undefined) throw new UsageError('--pool goes with --from, which says where to look')
          const answer = answerTo(questionOf(options))
          io.out(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : `\n${sizeReport(answer, io)}\n\n`)
          done(EXIT.ok)
        }
      })
  },
}

function questionOf({ wait, service, use, rate, acceptableWait, ...others }: Options): SizeQuestion {
  const { cores, disks, throughput, instances, serverLimit, reserved, acceptableShare } = others
  return {
    cores, disks, throughput, instances, serverLimit, reserved, acceptableShare,
    waitMillis: wait, serviceMillis: service, useMillis: use, ratePerSecond: rate, acceptableWaitMillis: acceptableWait,
  } // prettier-ignore
}

/** Looks at a running process twice, and computes from what happened in between. */
async function fromRunning(address: string, options: Options, io: Io): Promise<number> {
  const progress = progressTo(io)
  let before: Look
  let after: Look
  try {
    before = await lookAt(address, options.prefix)
    choose(before, options.pool)
    progress.say(`measuring for ${options.for / 1_000} s`)
    await new Promise((resolve) => setTimeout(resolve, options.for))
    after = await lookAt(address, options.prefix)
  } catch (error) {
    progress.end()
    if (error instanceof UsageError) throw error
    io.err(`${reasonOfFetch(error, address)}\n`)
    return EXIT.unreachable
  }
  progress.end()
  const sizes = choose(after, options.pool).flatMap((pool): MeasuredSize[] => {
    const earlier = before.pools.find((each) => each.pool === pool.pool)
    return earlier === undefined ? [] : [sizeOf(earlier, pool, after.at - before.at, options)]
  })
  io.out(options.json === true ? `${JSON.stringify(sizes, null, 2)}\n` : `\n${measuredReport(sizes, io)}\n\n`)
  return EXIT.ok
}

function choose({ pools }: Look, name: string | undefined): readonly RunningPool[] {
  if (name === undefined) return pools
  const found = pools.filter(({ pool }) => pool === name)
  if (found.length > 0) return found
  const names = pools.map(({ pool }) => pool)
  const near = nearest(name, names)
  throw new UsageError(
    `there is no pool "${name}"; ${near === undefined ? `there are ${names.join(', ')}` : `did you mean "${near}"?`}`,
  )
}

function sizeOf(before: RunningPool, after: RunningPool, elapsedMillis: number, options: Options): MeasuredSize {
  const measured = loadBetween(before.stats, after.stats, elapsedMillis)
  const { ratePerSecond, useMillis } = measured
  const isMeasured = ratePerSecond > 0 && useMillis > 0
  const question = questionOf(options)
  return {
    pool: after.pool,
    kind: after.kind,
    max: after.max ?? null,
    measured,
    // The others are like this one; what was measured beats what was assumed.
    answer: isMeasured
      ? answerTo({ ...question, ratePerSecond: ratePerSecond * (options.instances ?? 1), useMillis })
      : null,
    multiplexed: [before, after].some(({ leases, used }) => leases > used),
  }
}

/** What the command line calls what the library asks for. */
const FLAGS: Readonly<Record<string, string>> = {
  cores: '--cores',
  throughput: '--throughput',
  disks: '--disks',
  ratePerSecond: '--rate',
  useMillis: '--use',
  waitMillis: '--wait',
  serviceMillis: '--service',
  instances: '--instances',
  serverLimit: '--server-limit',
  reserved: '--reserved',
}

function answerTo(question: SizeQuestion): SizeAnswer {
  try {
    return compute(question)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // The library speaks of its own names.
    const message = error.message.replace(/`(\w+)`/g, (_, name: string) => FLAGS[name] ?? name)
    throw new UsageError(`${message}; see millpond size --help`)
  }
}
