import type { CommandModule } from '../command.ts'
import { EXIT, UsageError, type Io } from '../io.ts'
import { painter } from '../terminal.ts'
import { addressOf, reasonOfFetch, type Scrape } from '../watch/scrape.ts'
import { Source } from '../watch/source.ts'
import { renderRows, rowsOf, sorted, SORTS } from '../watch/table.ts'

interface WatchOptions {
  readonly interval: string
  readonly prefix: string
  readonly sort: string
  readonly header: readonly string[]
  readonly once?: true
  readonly json?: true
}

export const watch: CommandModule = {
  add(program, io, done) {
    program
      .command('watch')
      .description('show the pools of a running process, as a table that goes on')
      .argument('<url>', 'where its dashboard is, or its metrics; at / one of them, at /metrics the other')
      .option('--interval <seconds>', 'how often it is asked', '1')
      .option('--sort <column>', `what comes first: ${sortNames().join(', ')}`, 'name')
      .option('--prefix <prefix>', 'what the metrics begin with', 'millpond_')
      .option('--header <header>', 'sent along, as in "authorization: Bearer …"; again for more', collected, [])
      .option('--once', 'ask twice, show the table and end; so it is where no terminal is')
      .option('--json', 'for programs: ask twice, and end')
      .action(async (text: string, options: WatchOptions) => {
        const url = addressOf(text)
        const source = new Source(url, { prefix: options.prefix, headers: headersOf(options.header) })
        const seconds = Number(options.interval)
        if (!(seconds > 0 && seconds <= 3_600))
          throw new UsageError(`--interval takes seconds above 0, got "${options.interval}"`)
        const key = Object.keys(SORTS).find((each) => SORTS[each]?.name === options.sort)
        if (key === undefined)
          throw new UsageError(`there is no column "${options.sort}" to sort by; there are ${sortNames().join(', ')}`)
        const live = options.once !== true && options.json !== true && io.keys !== undefined
        try {
          done(await (live ? goOn(io, url, source, seconds, key) : lookOnce(io, url, source, options, seconds, key)))
        } finally {
          source.close()
        }
      })
  },
}

const collected = (header: string, before: string[]): string[] => [...before, header]

function headersOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((header) => {
      const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):\s*(.*)$/.exec(header) ?? []
      // What stands in it may be a secret.
      if (name === undefined || value === undefined) throw new UsageError('--header takes "name: value"')
      return [name, value]
    }),
  )
}

function sortNames(): string[] {
  return Object.values(SORTS).map(({ name }) => name)
}

const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

async function lookOnce(
  io: Io,
  url: string,
  source: Source,
  { json }: WatchOptions,
  seconds: number,
  key: string,
): Promise<number> {
  try {
    const before = await source.next()
    await pause(seconds)
    const rows = sorted(rowsOf(await source.next(), before), key)
    io.out(json === true ? `${JSON.stringify(rows, null, 2)}\n` : `${renderRows(rows, painter(io))}\n`)
    return EXIT.ok
  } catch (error) {
    io.err(`${reasonOfFetch(error, url)}\n`)
    return EXIT.unreachable
  }
}

const CLEAR = '\u001b[H\u001b[2J'

/** Until `q`: asks, shows, and heeds the keys. A process that is away is waited for. */
async function goOn(io: Io, url: string, source: Source, seconds: number, firstKey: string): Promise<number> {
  const paint = painter(io)
  let key = firstKey
  let reversed = false
  let before: Scrape | undefined
  let now: Scrape | undefined
  let trouble = ''
  const show = (): void => {
    const help = Object.entries(SORTS).map(([each, { name }]) => (each === key ? paint(`${each} ${name}`, 'bold') : `${each} ${name}`)) // prettier-ignore
    const body = now === undefined ? '' : renderRows(sorted(rowsOf(now, before), key, reversed), paint)
    io.out(
      `${CLEAR}  ${paint(url, 'bold')}   ${trouble === '' ? '' : paint(trouble, 'red')}\n\n${body}\n\n  ${paint(`sort by ${help.join(' · ')} · r reverse · q quit`, 'dim')}\n`,
    )
  }
  let quit = (): void => undefined
  const over = new Promise<'quit'>((resolve) => {
    quit = () => resolve('quit')
  })
  const stop = io.keys?.((pressed) => {
    if (pressed === 'q' || pressed === '\u0003') quit()
    else if (pressed === 'r') reversed = !reversed
    else if (SORTS[pressed] !== undefined) key = pressed
    else return
    show()
  })
  try {
    for (;;) {
      try {
        // A dashboard tells when it has something to tell; the keyboard is heeded meanwhile.
        const next = await Promise.race([over, source.next()])
        if (next === 'quit') return EXIT.ok
        ;[before, now, trouble] = [now, next, '']
      } catch (error) {
        trouble = reasonOfFetch(error, url)
      }
      show()
      if ((await Promise.race([over, pause(seconds)])) === 'quit') return EXIT.ok
    }
  } finally {
    stop?.()
  }
}
