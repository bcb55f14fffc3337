import { once } from 'node:events'
import { InvalidArgumentError } from 'commander'
import type { CommandModule } from '../command.ts'
import { DemoPools } from '../demo/pools.ts'
import { EXIT, UsageError, type Io } from '../io.ts'
import { millis } from '../parse.ts'
import { painter } from '../terminal.ts'

interface Options {
  readonly port: number
  readonly for?: number
  readonly json?: true
}

export const demo: CommandModule = {
  add(program, io, done) {
    program
      .command('demo')
      .description('show the dashboard with pools under load, without any server: their connections are pretended')
      .option('--port <port>', 'where the page is; 0 is any that is free', port, 0)
      .option('--for <duration>', 'how long (default: until Ctrl+C)', millis)
      .option('--json', 'for programs: the address, then the pools at the end')
      .action(async (options: Options) => {
        done(await show(options, io))
      })
  },
}

async function show({ port, for: duration, json }: Options, io: Io): Promise<number> {
  // The page is large, and no other command needs it.
  const { serveDashboard } = await import('millpond/dashboard')
  await using pools = new DemoPools()
  const dashboard = await serveDashboard(pools.registry, { enabled: true, title: 'Millpond demo', port }).catch(
    (error: unknown) => {
      throw new UsageError(`port ${port} cannot be used (${(error as NodeJS.ErrnoException).code ?? 'error'}); give another --port`) // prettier-ignore
    },
  )
  try {
    const paint = painter(io)
    if (json === true) io.out(`${JSON.stringify({ url: dashboard.url })}\n`)
    else
      io.out(
        `\n  ${paint('Millpond demo', 'bold')}  three pools under load; their connections are pretended\n\n  ${paint(dashboard.url, 'cyan', 'underline')}\n\n  ${paint(`in another terminal: millpond watch ${dashboard.url}`, 'dim')}\n${duration === undefined ? `  ${paint('Ctrl+C ends it', 'dim')}\n` : ''}\n`,
      )
    await untilEnd(duration)
    if (json === true) io.out(`${JSON.stringify(pools.registry.stats())}\n`)
  } finally {
    await dashboard.close()
  }
  return EXIT.ok
}

/** Until the time is over, or somebody has had enough. */
async function untilEnd(duration: number | undefined): Promise<void> {
  const end = new AbortController()
  const { signal } = end
  const signals = (['SIGINT', 'SIGTERM'] as const).map((name) => once(process, name, { signal }))
  const time = new Promise<void>((resolve) => {
    const timer = duration === undefined ? undefined : setTimeout(resolve, duration)
    signal.addEventListener('abort', () => { clearTimeout(timer) }) // prettier-ignore
  })
  try {
    await Promise.race([time, ...signals])
  } finally {
    for (const each of signals) each.catch(() => undefined)
    end.abort()
  }
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('expected a port from 0 to 65535.')
  return value
}
