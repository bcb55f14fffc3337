import type { LeaseInfo } from '../../core/report.ts'
import type { DriverClient, DriverSession } from './driver.ts'

/** A session, a cursor or a change stream that somebody has begun and not ended. */
export class Work {
  readonly session: DriverSession
  readonly since = performance.now()
  readonly stack: Error | undefined
  readonly #owner: Owner | undefined
  /** When a cursor last fetched; a stream that is read is no leak however old it is. */
  lastUse = this.since
  isReported = false

  constructor(session: DriverSession, owner: Owner | undefined, stack: Error | undefined) {
    this.session = session
    this.#owner = owner
    this.stack = stack
  }

  /** What it is, and of what: asked only where somebody looks, for nearly every read is a cursor. */
  get label(): string {
    const owner = this.#owner
    if (owner === undefined) return 'session'
    const kind = owner.constructor?.name === 'ChangeStreamCursor' ? 'change stream' : 'cursor'
    return owner.namespace === undefined ? kind : `${kind} ${String(owner.namespace)}`
  }
}

export interface WorkWatcher {
  readonly leakThresholdMillis: number
  readonly trackStacks: boolean
  leaked(work: Work, heldMillis: number): void
  endedLate(work: Work, heldMillis: number): void
  /** Thrown in place of beginning anything new; `undefined` while the pool is open. */
  refusal(): Error | undefined
}

/** What `startSession` is told by the driver itself. */
interface SessionOptions {
  /** False for the session that an operation or a cursor begins for itself. */
  readonly explicit?: boolean
  /** The cursor, where it is one. */
  readonly owner?: unknown
}

interface Owner {
  readonly namespace?: { toString(): string }
  readonly constructor?: { readonly name?: string }
  /** The first batch, and the next ones. */
  _initialize?: (...args: unknown[]) => unknown
  getMore?: (...args: unknown[]) => unknown
}

/**
 * Knows which sessions, cursors and change streams are open: all of them begin with `client.startSession`, which is
 * wrapped on the one client (an operation of its own begins a session too, and ends it with itself).
 */
export class OpenWork {
  readonly #client: DriverClient
  readonly #watcher: WorkWatcher
  readonly #open = new Map<DriverSession, Work>()
  readonly #restore: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(client: DriverClient, watcher: WorkWatcher) {
    this.#client = client
    this.#watcher = watcher
    this.#restore = this.#wrap()
  }

  get size(): number {
    return this.#open.size
  }

  /** Whether somebody is in the middle of a transaction. */
  get inTransaction(): boolean {
    return [...this.#open.values()].some(({ session }) => session.inTransaction?.() === true)
  }

  holders(): LeaseInfo[] {
    const now = performance.now()
    return [...this.#open.values()].map(({ label, since, stack }) => ({
      // A session has no connection of its own.
      resourceId: 0,
      label,
      heldMillis: now - since,
      stack: stack?.stack,
    }))
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#restore()
    this.#open.clear()
  }

  #wrap(): () => void {
    const client = this.#client
    const startSession = client.startSession.bind(client)
    const watched = (options?: SessionOptions): DriverSession => {
      const isOperation = options?.explicit === false && typeof options.owner !== 'object'
      const refusal = this.#watcher.refusal()
      // What is open may go on to its end, with the session that it has; what is new may not begin.
      if (refusal !== undefined) throw refusal
      const session = startSession(options)
      if (!isOperation) this.#began(session, options?.explicit === false ? (options.owner as Owner) : undefined)
      return session
    }
    client.startSession = watched
    return () => {
      if (client.startSession === watched) Reflect.deleteProperty(client, 'startSession')
    }
  }

  #began(session: DriverSession, owner: Owner | undefined): void {
    const { trackStacks, leakThresholdMillis } = this.#watcher
    const work = new Work(session, owner, trackStacks ? new Error('begun') : undefined)
    this.#open.set(session, work)
    session.once('ended', () => this.#ended(session))
    if (leakThresholdMillis === Infinity) return
    if (owner !== undefined) noteReads(owner, work)
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#look(), Math.min(Math.max(leakThresholdMillis / 4, 10), 1_000))
    this.#timer.unref()
  }

  #ended(session: DriverSession): void {
    const work = this.#open.get(session)
    this.#open.delete(session)
    if (work?.isReported) this.#watcher.endedLate(work, performance.now() - work.since)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const now = performance.now()
    for (const work of this.#open.values()) {
      if (work.isReported || now - work.lastUse < this.#watcher.leakThresholdMillis) continue
      work.isReported = true
      this.#watcher.leaked(work, now - work.since)
    }
  }
}

/** A cursor that fetches is in use: noted on this one cursor, which is gone with its session. */
function noteReads(owner: Owner, work: Work): void {
  for (const method of ['_initialize', 'getMore'] as const) {
    const fetch = owner[method]
    if (typeof fetch !== 'function') continue
    owner[method] = async function (this: unknown, ...args: unknown[]) {
      // A stream may wait for long, and whoever waits for it has not forgotten it.
      work.lastUse = Infinity
      try {
        return await fetch.apply(this, args)
      } finally {
        work.lastUse = performance.now()
      }
    }
  }
}
