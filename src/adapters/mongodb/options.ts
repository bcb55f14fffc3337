import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES } from '../../core/options.ts'

/** Millpond's names for what the driver's own pool can be told. */
export interface MongoPoolOptions {
  /** The most connections to each server; `Infinity` is no limit. The driver's `maxPoolSize`. @defaultValue 100 */
  max?: number | undefined
  /** Connections kept open to each server. The driver's `minPoolSize`. @defaultValue 0 */
  min?: number | undefined
  /** How many connections are opened at a time. The driver has the same name. @defaultValue 2 */
  maxConnecting?: number | undefined
  /** How long an operation waits for a connection; `Infinity` for ever. The driver's `waitQueueTimeoutMS`. @defaultValue 30_000 */
  acquireTimeoutMillis?: number | undefined
  /** How long opening a connection may take; `Infinity` for ever. The driver's `connectTimeoutMS`. @defaultValue 30_000 */
  createTimeoutMillis?: number | undefined
  /** How long a connection may be idle; `Infinity` for ever. The driver's `maxIdleTimeMS`. @defaultValue 600_000 */
  idleTimeoutMillis?: number | undefined
}

/** What the driver is told in its own words. */
export interface MongoDriverBounds {
  maxPoolSize?: number
  minPoolSize?: number
  maxConnecting?: number
  waitQueueTimeoutMS?: number
  connectTimeoutMS?: number
  maxIdleTimeMS?: number
}

interface Translation {
  readonly driver: keyof MongoDriverBounds
  readonly rule: OptionRule
  /** What the driver leaves open is bounded. */
  readonly fallback?: number
}

const TRANSLATIONS: Readonly<Record<keyof MongoPoolOptions, Translation>> = {
  max: { driver: 'maxPoolSize', rule: { type: 'integer', min: 1, infinity: true } },
  min: { driver: 'minPoolSize', rule: { type: 'integer', min: 0 } },
  maxConnecting: { driver: 'maxConnecting', rule: { type: 'integer', min: 1 } },
  acquireTimeoutMillis: {
    driver: 'waitQueueTimeoutMS',
    rule: { type: 'duration', infinity: true },
    fallback: 30_000,
  },
  createTimeoutMillis: { driver: 'connectTimeoutMS', rule: { type: 'duration', infinity: true } },
  idleTimeoutMillis: { driver: 'maxIdleTimeMS', rule: { type: 'duration', infinity: true }, fallback: 600_000 },
}

/** What older drivers and mongoose took, and what has come in its place. */
const REMOVED: Readonly<Record<string, string>> = {
  poolSize: 'use `max` (the driver’s `maxPoolSize`)',
  minSize: 'use `min` (the driver’s `minPoolSize`)',
  useNewUrlParser: 'leave it out: there is only one parser now',
  useUnifiedTopology: 'leave it out: there is only one topology now',
  useCreateIndex: 'leave it out: it is always so now',
  useFindAndModify: 'leave it out: it is always so now',
  keepAlive: 'leave it out: TCP keep-alive is always on',
  autoReconnect: 'leave it out: the driver always reconnects',
  reconnectTries: 'use `serverSelectionTimeoutMS`',
  reconnectInterval: 'use `serverSelectionTimeoutMS`',
  bufferMaxEntries: 'use mongoose’s `bufferCommands: false`',
  connectionTimeoutMS: 'use `createTimeoutMillis` (the driver’s `connectTimeoutMS`)',
  waitQueueMultiple: 'leave it out: the queue has no such limit',
}

/** Options of the view, which the driver would refuse. */
const OF_THE_VIEW = new Set(['name', 'slowMillis', 'leakThresholdMillis', 'trackStacks'])

const isOurs = (name: string): name is keyof MongoPoolOptions => Object.hasOwn(TRANSLATIONS, name)

/**
 * Options for `new MongoClient(uri, …)` or `mongoose.connect(uri, …)`: Millpond's names become the driver's, what the
 * driver leaves open (waiting for a connection, idle connections) is bounded, all other options are passed on.
 *
 * @param options - Millpond's names, the driver's and mongoose's; not both names for one thing
 * @param uri - the connection string: what it says itself is left to it, as the driver would prefer the option
 * @throws {OptionError} on a wrong value, two names for one thing, or an option that is no more
 */
export function mongoOptions<O extends object = MongoPoolOptions>(
  options: O & MongoPoolOptions = {} as O & MongoPoolOptions,
  uri?: string,
): Omit<O, keyof MongoPoolOptions> & MongoDriverBounds {
  const given = options as Readonly<Record<string, unknown>>
  for (const option of Object.keys(given)) checkName(option)
  const inUri = namesIn(uri)
  const driver: Record<string, unknown> = {}
  for (const [option, value] of Object.entries(given)) if (!isOurs(option)) driver[option] = value
  for (const [ours, { driver: theirs, rule, fallback }] of Object.entries(TRANSLATIONS)) {
    const value = given[ours]
    if (value === undefined) {
      if (fallback !== undefined && given[theirs] === undefined && !inUri.has(theirs.toLowerCase()))
        driver[theirs] = fallback
      continue
    }
    if (theirs !== ours && given[theirs] !== undefined)
      throw new OptionError('mongodb', ours, `\`${theirs}\` and \`${ours}\` are two names for one thing; give only one`)
    checkOption('mongodb', ours, value, rule)
    // `0` is the driver's word for "no limit".
    driver[theirs] = value === Infinity ? 0 : value
  }
  checkSizes(driver)
  return driver as Omit<O, keyof MongoPoolOptions> & MongoDriverBounds
}

function checkName(option: string): void {
  if (isOurs(option)) return
  const successor = Object.hasOwn(REMOVED, option) ? REMOVED[option] : undefined
  if (successor !== undefined)
    throw new OptionError('mongodb', option, `\`${option}\` is no option of the driver any more: ${successor}`)
  if (OF_THE_VIEW.has(option))
    throw new OptionError('mongodb', option, `\`${option}\` belongs to the view: observeMongo(client, { ${option} })`)
  if ((POOL_OPTION_NAMES as readonly string[]).includes(option)) {
    const known = Object.keys(TRANSLATIONS).join(', ')
    throw new OptionError('mongodb', option, `The driver's own pool has nothing like \`${option}\`; it has ${known}`)
  }
  const nearest = nearestName(option, Object.keys(TRANSLATIONS))
  if (
    nearest !== undefined &&
    Math.abs(nearest.length - option.length) <= 2 &&
    nearest.slice(0, 3) === option.slice(0, 3)
  )
    throw new OptionError('mongodb', option, `Unknown option \`${option}\`; did you mean \`${nearest}\`?`)
}

/** The driver would only find it out when it connects. */
function checkSizes({ minPoolSize = 0, maxPoolSize = 100 }: MongoDriverBounds): void {
  if (maxPoolSize !== 0 && minPoolSize > maxPoolSize)
    throw new OptionError(
      'mongodb',
      'min',
      `Expected \`min\` to be at most \`max\` (${maxPoolSize}), got ${minPoolSize}`,
    )
}

/** The names of options in a connection string, which may list several hosts and is no URL then. */
function namesIn(uri: string | undefined): ReadonlySet<string> {
  const query = uri?.split('?', 2)[1] ?? ''
  return new Set(query.split('&').map((pair) => pair.split('=', 1)[0]?.toLowerCase() ?? ''))
}
