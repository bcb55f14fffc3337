import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** How long the load runs, in seconds. */
  readonly seconds: number
  readonly keep: boolean
  readonly url: string | undefined
  readonly port: number
}

export const HELP = `npm start -- [options]

  --seconds N    how long the load runs, 4 or more (default 24)
  --keep         leave the service running afterwards
  --url URL      use your own PostgreSQL instead of an embedded one (it is not restarted)
  --port N       port of the service on 127.0.0.1 (default: a free one)
  --help         this text
`

/** @throws {Error} that says what was expected, what came, and how to mend it */
export function readOptions(args: readonly string[]): DemoOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '24' },
      keep: { type: 'boolean', default: false },
      url: { type: 'string' },
      port: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const { url } = values
  if (url !== undefined && !/^postgres(ql)?:\/\//.test(url)) {
    throw new Error('Expected --url to begin with postgres:// (the value is not shown, as it may hold a password)')
  }
  return {
    seconds: wholeNumber('seconds', values.seconds, 4, 600),
    keep: values.keep,
    url,
    port: wholeNumber('port', values.port, 0, 65_535),
  }
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < least || number > most) {
    throw new Error(`Expected --${name} to be a whole number from ${least} to ${most}, got '${text}'`)
  }
  return number
}
