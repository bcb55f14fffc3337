/** Everything of the surroundings that a command touches, so that tests can stand in for them. */
export interface Io {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Data. */
  out(text: string): void
  /** Progress, and what went wrong. */
  err(text: string): void
  /** Whether the data goes to a terminal that wants colour. */
  readonly color: boolean
  /** Columns of the terminal; 100 where there is none. */
  readonly width: number
  /** Whether progress may be shown: somebody looks, and the data goes elsewhere or is long in coming. */
  readonly progress: boolean
  /** Calls back for every key that is pressed, until the function that it gives is called; none where nobody sits there. */
  readonly keys?: ((pressed: (key: string) => void) => () => void) | undefined
}

/** The part of `process` that is used. */
export type Process = Pick<NodeJS.Process, 'cwd' | 'env' | 'stdin' | 'stdout' | 'stderr'>

/** The surroundings of a process. `NO_COLOR` beats `FORCE_COLOR` beats the terminal. */
export function processIo(process: Process = globalThis.process): Io {
  const { env, stdin, stdout, stderr } = process
  // Where a stream is no terminal, Node leaves the member out, whatever its types say.
  const [isRead, isShown, isWatched] = [stdin, stdout, stderr].map(
    ({ isTTY }: { readonly isTTY?: boolean }) => isTTY ?? false,
  )
  const set = (name: string): boolean => env[name] !== undefined && env[name] !== ''
  const color =
    !set('NO_COLOR') && (set('FORCE_COLOR') ? env['FORCE_COLOR'] !== '0' : isShown === true && env['TERM'] !== 'dumb')
  return {
    cwd: process.cwd(),
    env,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    color,
    width: isShown === true ? Math.max(50, Math.min(stdout.columns, 120)) : 100,
    progress: isWatched === true && !set('CI'),
    keys: isRead === true && isShown === true ? keysOf(stdin) : undefined,
  }
}

function keysOf(input: NodeJS.ReadStream): NonNullable<Io['keys']> {
  return (pressed) => {
    const listener = (text: string): void => {
      for (const key of text) pressed(key)
    }
    input.setRawMode(true).setEncoding('utf8').resume().on('data', listener)
    return () => {
      input.off('data', listener).setRawMode(false).pause()
    }
  }
}

/** Exit codes, documented in the README and in `millpond --help`. */
export const EXIT = { ok: 0, findings: 1, usage: 2, unreachable: 3 } as const

/** A mistake of the person at the keyboard: told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
