/**
 * Where a command belongs.
 *
 * - `shared`: on a connection that everybody uses at once; the answer comes at once.
 * - `exclusive`: leased for the one command, because it blocks the connection or is about it.
 * - `subscriber`: on a connection that only listens.
 * - `session`: it changes the connection for commands to come, so it makes sense only between the first and the last
 *   of them: inside `use`.
 */
export type Route = 'shared' | 'exclusive' | 'subscriber' | 'session'

const EXCLUSIVE = [
  // They wait on the server, and with them everything that is sent after them.
  'blpop', 'brpop', 'brpoplpush', 'blmove', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop',
  'debugsleep',
  // They tell about the connection, or do something to all of them.
  'client', 'clientid', 'clientinfo', 'clientgetredir', 'clienttrackinginfo', 'clientlist',
  'clientkill', 'clientpause', 'clientunpause', 'clientunblock', 'role',
] as const // prettier-ignore

const SESSION = [
  'multi', 'watch', 'unwatch', 'exec', 'discard', 'select', 'auth', 'hello', 'reset', 'asking', 'readonly', 'readwrite', 'monitor',
  'clientreply', 'clienttracking', 'clientcaching', 'clientnoevict', 'clientnotouch',
  'scriptdebug',
  // They wait for the writes of their own connection.
  'wait', 'waitaof',
] as const // prettier-ignore

/** They only name a connection: libraries name theirs, and a shared one may have that name. */
const NAMING = ['clientsetname', 'clientgetname', 'clientsetinfo'] as const

const SUBSCRIBER = [
  'subscribe', 'psubscribe', 'ssubscribe', 'unsubscribe', 'punsubscribe', 'sunsubscribe',
] as const // prettier-ignore

const ROUTES = new Map<string, Route>([
  ...EXCLUSIVE.map((name) => [name, 'exclusive'] as const),
  ...SESSION.map((name) => [name, 'session'] as const),
  ...NAMING.map((name) => [name, 'shared'] as const),
  ...SUBSCRIBER.map((name) => [name, 'subscriber'] as const),
])

/** Commands whose first argument is half of their name. */
const CONTAINERS = new Set(['client', 'script', 'debug'])

/** Commands that block only when they are asked to. */
const BLOCK_OPTION = new Set(['xread', 'xreadgroup'])

/**
 * The name of a command as the tables have it, of whatever spelling: `blpop` and `blpopBuffer` of ioredis, `bLPop`,
 * `BLPOP` and `CLIENT_KILL` of node-redis, `CLIENT`, `NO-EVICT` of the protocol.
 */
export function commandName(spelling: string): string {
  return spelling
    .replace(/Buffer$/, '')
    .replace(/[_-]/g, '')
    .toLowerCase()
}

/** Whether the route of a command depends on its arguments. */
export function isRoutedByArguments(name: string): boolean {
  return CONTAINERS.has(name) || BLOCK_OPTION.has(name)
}

/** @param name - as of {@link commandName} */
export function routeOf(name: string, args: readonly unknown[] = []): Route {
  if (BLOCK_OPTION.has(name)) return blocks(args) ? 'exclusive' : 'shared'
  if (CONTAINERS.has(name)) {
    const [first] = args.flat()
    if (typeof first === 'string' || Buffer.isBuffer(first)) {
      const route = ROUTES.get(name + commandName(String(first)))
      if (route !== undefined) return route
    }
  }
  return ROUTES.get(name) ?? 'shared'
}

/** Whether a read of a stream has its BLOCK option: as a word before STREAMS, or as a member of node-redis' options. */
function blocks(args: readonly unknown[]): boolean {
  for (const arg of args.flat()) {
    if (typeof arg === 'object' && arg !== null && !Buffer.isBuffer(arg)) {
      if ('BLOCK' in arg && arg.BLOCK !== undefined) return true
      continue
    }
    const word = String(arg).toUpperCase()
    if (word === 'BLOCK') return true
    if (word === 'STREAMS') return false
  }
  return false
}
