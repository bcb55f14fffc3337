export type LogLevel = 'info' | 'warn' | 'error'

/** One line of a log: a sentence, and the same as data. */
export interface LogEntry {
  readonly level: LogLevel
  readonly message: string
  /** Names, counts, milliseconds; no address, no error text, no value of a statement. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Minimum of a logger in the style of pino and bunyan: data first, then the sentence. `bindings` tells it from others. */
export interface PinoLike {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  bindings(): unknown
}

/** Minimum of a logger in the style of the console and winston: the sentence first. winston takes data behind it. */
export interface ConsoleLike {
  info(message: string, ...rest: never[]): unknown
  warn(message: string, ...rest: never[]): unknown
  error(message: string, ...rest: never[]): unknown
}

/** Where lines go: a logger of pino's, winston's or the console's shape, or a function. */
export type Logger = PinoLike | ConsoleLike | ((entry: LogEntry) => void)

/** A function that writes a line with whatever was handed in. A logger that throws is none. */
export function writerFor(logger: Logger): (entry: LogEntry) => void {
  const write = shapeOf(logger)
  return (entry) => {
    try {
      write(entry)
    } catch (error) {
      process.emitWarning(`watchPools: the logger threw: ${String(error)}`, 'MillpondWarning')
    }
  }
}

function shapeOf(logger: Logger): (entry: LogEntry) => void {
  if (typeof logger === 'function') return logger
  if ('bindings' in logger && typeof logger.bindings === 'function') {
    return ({ level, message, fields }) => logger[level](fields, message)
  }
  // winston's loggers have transports; the console would print the data as a second, nested line.
  const takesFields = 'transports' in logger
  const plain = logger as unknown as Record<LogLevel, (message: string, fields?: object) => void>
  return ({ level, message, fields }) => {
    if (takesFields) plain[level](message, { ...fields })
    else plain[level](message)
  }
}
