import { Option } from 'commander'
import { size as compute, type SizeQuestion } from 'millpond/sizing'
import type { CommandModule } from '../command.ts'
import { EXIT, UsageError } from '../io.ts'
import { number, positive, millis } from '../parse.ts'
import { painter, wrap } from '../terminal.ts'

interface Options {
  readonly cores?: number
  readonly disks?: number
  readonly wait?: number
  readonly service?: number
  readonly use?: number
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
      .description('compute how large a pool should be, from what is known; each line says where it comes from')
      .option('--cores <n>', 'cores of the server', positive)
      .option('--disks <n>', 'effective disks of the server', number)
      .option('--rate <n>', 'leases asked for in a second, by all instances together', number)
      .option('--use <duration>', 'how long a lease is out: 20ms', millis)
      .option('--wait <duration>', 'how long a lease waits for something else than the server', millis)
      .option('--service <duration>', 'how long the server works on a lease', millis)
      .option('--instances <n>', 'how many copies of the program run', positive)
      .option('--server-limit <n>', 'how many connections the server allows: max_connections', positive)
      .option('--reserved <n>', 'how many of them are kept for others', number)
      .option('--acceptable-wait <duration>', 'what a caller may wait', millis)
      .addOption(new Option('--acceptable-share <share>', 'how many may wait longer, from 0 to 1').argParser(number))
      .option('--json', 'for programs')
      .action(({ json, ...given }: Options) => {
        const { wait, service, use, rate, acceptableWait, ...rest } = given
        const question: SizeQuestion = {
          ...rest, waitMillis: wait, serviceMillis: service, useMillis: use, ratePerSecond: rate, acceptableWaitMillis: acceptableWait,
        } // prettier-ignore
        const answer = answerTo(question)
        if (json === true) io.out(`${JSON.stringify(answer, null, 2)}\n`)
        else {
          const paint = painter(io)
          io.out(
            `\n  ${paint(`max ${answer.max}`, 'bold', 'green')}, ${paint(`min ${answer.min}`, 'bold')} ${paint(`for each instance, decided by ${answer.decidedBy}`, 'dim')}\n\n`,
          )
          for (const { name, perInstance, why } of answer.reasons) {
            const [first = '', ...more] = wrap(why, io.width - 26)
            io.out(
              `  ${paint(name.padEnd(14), name === answer.decidedBy ? 'green' : 'cyan')} ${String(perInstance).padStart(5)}  ${first}\n`,
            )
            for (const line of more) io.out(`${' '.repeat(24)}${line}\n`)
          }
          for (const warning of answer.warnings)
            io.out(`\n  ${paint('!', 'yellow', 'bold')} ${wrap(warning, io.width - 4).join('\n    ')}\n`)
          io.out('\n')
        }
        done(EXIT.ok)
      })
  },
}

function answerTo(question: SizeQuestion): ReturnType<typeof compute> {
  try {
    return compute(question)
  } catch (error) {
    if (error instanceof RangeError)
      throw new UsageError(`${error.message.replaceAll('`', '')}; see millpond size --help`)
    throw error
  }
}
