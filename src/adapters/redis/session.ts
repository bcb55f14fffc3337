import { commandName, routeOf } from './routes.ts'

/** Commands after which a connection cannot be given to anybody else. */
const TAINTING = new Set([
  'auth', 'hello', 'reset', 'asking', 'readonly', 'readwrite', 'monitor', 'quit', 'sync', 'psync', 'scriptdebug',
  'clientreply', 'clienttracking', 'clientcaching', 'clientnoevict', 'clientnotouch', 'clientsetinfo',
]) // prettier-ignore

/** What one leased connection has taken on, read from the commands that go over it. Nothing is asked of the server. */
export class Session {
  /** The database that the connection opened with. */
  readonly #homeDb: number
  #db: number
  /** Between MULTI and EXEC or DISCARD. */
  inTransaction = false
  /** WATCHes keys. */
  watching = false
  /** SUBSCRIBEs to something. */
  subscribed = false
  named = false
  /** It took on what cannot be undone: it ends instead of going to the next borrower. */
  tainted = false
  /** Blocking commands without an answer: whoever comes next would wait behind them. */
  blocking = 0

  constructor(homeDb: number) {
    this.#homeDb = homeDb
    this.#db = homeDb
  }

  get homeDb(): number {
    return this.#homeDb
  }

  get movedDb(): boolean {
    return this.#db !== this.#homeDb
  }

  get isClean(): boolean {
    return !this.inTransaction && !this.watching && !this.subscribed && !this.named && !this.movedDb
  }

  /** Notes a command on its way to the server. Returns whether it blocks the connection until its answer. */
  note(command: string, args: readonly unknown[]): boolean {
    const name = commandName(command)
    const [first] = args
    const full = name === 'client' || name === 'script' ? name + commandName(String(first)) : name
    switch (full) {
      case 'multi':
        this.inTransaction = true
        return false
      case 'exec':
      case 'discard':
        this.inTransaction = this.watching = false
        return false
      case 'watch':
        this.watching = true
        return false
      case 'unwatch':
        this.watching = false
        return false
      case 'select':
        // Whether EXEC will carry it out is not known here.
        if (this.inTransaction) this.tainted = true
        else this.#db = Number(first)
        return false
      case 'clientsetname':
        this.named = true
        return false
    }
    if (TAINTING.has(full)) this.tainted = true
    const route = routeOf(name, args)
    if (route === 'subscriber') this.subscribed = true
    // In a transaction nothing blocks.
    if (this.inTransaction) return false
    return (route === 'exclusive' && name.startsWith('b')) || name.startsWith('xread') || name.startsWith('wait')
      ? route !== 'shared'
      : full === 'debugsleep'
  }

  /** It is as it was when it was opened. */
  restored(): void {
    this.#db = this.#homeDb
    this.inTransaction = this.watching = this.subscribed = this.named = false
  }
}
