import { channel } from 'node:diagnostics_channel'
import { readCallers } from '../../core/caller-mark.ts'
import { systemClock, type Clock, type Timer } from '../../core/clock.ts'
import { OptionError } from '../../core/errors.ts'
import type { PoolEvents } from '../../core/events.ts'
import { coreOf, type ManagedPool } from '../../core/managed-pool.ts'
import { checkOption } from '../../core/option-check.ts'
import { EventLog, type KeptEvent } from './event-log.ts'
import { KEPT_EVENTS, LEVELS, type KeptEventName } from './event-text.ts'
import { lookAt, type Look } from '../look.ts'
import { History, sampleOf, type PoolHistory } from './history.ts'
import { writerFor, type LogEntry, type Logger } from './logger.ts'
import { SlowLog, type SlowGroup } from './slow-log.ts'
import { statsLine } from './stats-line.ts'
import { UtilizationWatch, type UtilizationAlert, type UtilizationOptions } from './utilization.ts'

/** Minimum of `@opentelemetry/api`: what finds the span that is active now. It is handed in, never imported. */
export interface TraceApi {
  readonly trace: { getActiveSpan(): Span | undefined }
}

interface Span {
  spanContext(): { readonly traceId: string }
}

export interface WatchOptions {
  /** Where events that matter, alerts and statistics are written; pino, winston, the console, or a function. @defaultValue nowhere */
  logger?: Logger | undefined
  /** One line of statistics for every pool, this often, in milliseconds. @defaultValue none */
  log?: { readonly everyMillis: number } | undefined
  /** When a pool counts as nearly full; `false` never. @defaultValue above 80 % for a minute, over below 70 % */
  utilization?: UtilizationOptions | false | undefined
  /** How often the pools are looked at, and how long what was seen is kept, in milliseconds. @defaultValue every 5_000, kept 3_600_000 */
  history?: { readonly everyMillis?: number | undefined; readonly keepMillis?: number | undefined } | undefined
  /** How many events are kept, of all pools together. @defaultValue 1_000 */
  keepEvents?: number | undefined
  /** How many kinds of slow operations are kept, of all pools together. @defaultValue 200 */
  keepSlow?: number | undefined
  /** `@opentelemetry/api`, so that slow operations, long waits and long leases tell their trace. @defaultValue none */
  openTelemetry?: TraceApi | undefined
  /** @defaultValue the process's clock */
  clock?: Clock | undefined
}

/** The part of a registry that is used. */
export interface Followable {
  follow(follower: (pool: ManagedPool) => void): () => void
}

export interface WatchEvents {
  /** An event of a pool that is worth keeping; what merely happened once more within a second is not told again. */
  event: KeptEvent
  /** A pool is nearly full, or is no longer. Also published on the channel `millpond:utilization`. */
  utilization: UtilizationAlert
}

interface Watched {
  readonly pool: ManagedPool
  readonly history: History
  readonly utilization: UtilizationWatch | undefined
  looked: Look
  logged: Look
  readonly unsubscribe: () => void
}

const utilizationChannel = channel('millpond:utilization')

/**
 * What happened in the pools of a registry, beyond what they count: events, slow operations, the last hour, and who is
 * told about it. Pools that are registered later are watched from then on. Close it to stop.
 */
export class PoolWatch implements Disposable {
  readonly #clock: Clock
  readonly #options: WatchOptions
  readonly #write: ((entry: LogEntry) => void) | undefined
  readonly #log: EventLog
  readonly #slow: SlowLog
  readonly #samples: number
  readonly #watched = new Map<string, Watched>()
  readonly #listeners: { [E in keyof WatchEvents]: readonly ((event: WatchEvents[E]) => void)[] } = {
    event: [],
    utilization: [],
  }
  readonly #timers = new Set<Timer>()
  readonly #unfollow: () => void
  readonly #endReading: (() => void) | undefined

  /** @throws {OptionError} on a wrong option */
  constructor(registry: Followable, options: WatchOptions = {}) {
    const { clock = systemClock, history = {}, log, logger, keepEvents = 1_000, keepSlow = 200 } = options
    const { everyMillis = 5_000, keepMillis = 3_600_000 } = history
    checkOption('watch', 'history.everyMillis', everyMillis, { type: 'duration' })
    checkOption('watch', 'history.keepMillis', keepMillis, { type: 'duration' })
    checkOption('watch', 'keepEvents', keepEvents, { type: 'integer', min: 1 })
    checkOption('watch', 'keepSlow', keepSlow, { type: 'integer', min: 1 })
    checkUtilization(options.utilization)
    if (log !== undefined) {
      checkOption('watch', 'log.everyMillis', log.everyMillis, { type: 'duration' })
      if (logger === undefined)
        throw new OptionError('watch', 'logger', 'Expected a `logger` to write `log` to, got none')
    }
    this.#clock = clock
    this.#options = options
    this.#write = logger === undefined ? undefined : writerFor(logger)
    this.#log = new EventLog(keepEvents)
    this.#slow = new SlowLog(keepSlow)
    this.#samples = Math.max(1, Math.ceil(keepMillis / everyMillis))
    const { openTelemetry } = options
    this.#endReading =
      openTelemetry && readCallers({ read: () => openTelemetry.trace.getActiveSpan(), fromMillis: Infinity })
    this.#unfollow = registry.follow((pool) => this.#add(pool))
    this.#every(everyMillis, () => this.#look())
    if (log !== undefined) this.#every(log.everyMillis, () => this.#logStatistics())
  }

  /** The names of the pools that are watched. */
  pools(): string[] {
    return [...this.#watched.keys()]
  }

  /** The last events, newest first; with `after`, only those with a higher id. */
  events(options: { after?: number | undefined; limit?: number | undefined } = {}): KeptEvent[] {
    return this.#log.list(options)
  }

  /** Slow operations by fingerprint, of one pool or of all; those that cost the most first. */
  slow(pool?: string): SlowGroup[] {
    return this.#slow.list(pool)
  }

  /** The past of a pool, oldest first; undefined where no pool of this name is watched. */
  history(pool: string, { after }: { after?: number | undefined } = {}): PoolHistory | undefined {
    return this.#watched.get(pool)?.history.read(after)
  }

  /** The alerts that are on. */
  alerts(): UtilizationAlert[] {
    return [...this.#watched.values()].flatMap(({ utilization }) => utilization?.firing ?? [])
  }

  on<E extends keyof WatchEvents>(event: E, listener: (event: WatchEvents[E]) => void): this {
    const listeners = this.#listeners as Record<E, readonly ((event: WatchEvents[E]) => void)[]>
    listeners[event] = [...listeners[event], listener]
    return this
  }

  off<E extends keyof WatchEvents>(event: E, listener: (event: WatchEvents[E]) => void): this {
    const listeners = this.#listeners as Record<E, readonly ((event: WatchEvents[E]) => void)[]>
    listeners[event] = listeners[event].filter((other) => other !== listener)
    return this
  }

  /** Stops watching; what was kept can still be read. */
  close(): void {
    this.#unfollow()
    this.#endReading?.()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const { unsubscribe } of this.#watched.values()) unsubscribe()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #every(millis: number, work: () => void): void {
    const timer = this.#clock.setTimer(() => {
      this.#timers.delete(timer)
      // Set before the work, which may close this.
      this.#every(millis, work)
      work()
    }, millis)
    timer.unref()
    this.#timers.add(timer)
  }

  #add(pool: ManagedPool): void {
    const { utilization } = this.#options
    const look = lookAt(pool)
    const core = coreOf(pool)
    const unsubscribes = KEPT_EVENTS.map((name) => {
      const listener = (event: PoolEvents[KeptEventName]): void => this.#happened(name, event, pool)
      core.on(name, listener)
      return () => core.off?.(name, listener)
    })
    this.#watched.get(pool.name)?.unsubscribe()
    this.#watched.set(pool.name, {
      pool,
      history: new History(this.#samples),
      utilization: utilization === false ? undefined : new UtilizationWatch(pool.name, utilization ?? {}),
      looked: look,
      logged: look,
      unsubscribe: () => {
        for (const unsubscribe of unsubscribes) unsubscribe()
      },
    })
  }

  #happened(name: KeptEventName, event: PoolEvents[KeptEventName], pool: ManagedPool): void {
    const at = this.#clock.wallNow()
    const traceId = this.#traceId(name, event)
    if (name === 'slow') this.#slow.add(pool.name, event as PoolEvents['slow'], at, traceId)
    const kept = this.#log.add(pool.name, name, event, at, traceId)
    // A group's pools come and go; only its own end is one.
    if (name === 'closed' && pool.state === 'closed' && this.#watched.get(pool.name)?.pool === pool)
      this.#watched.delete(pool.name)
    if (kept === undefined) return
    const level = LEVELS[name]
    if (level !== 'quiet') {
      this.#write?.({
        level,
        message: `pool "${kept.part ?? kept.pool}": ${kept.text}`,
        fields: fieldsOf(kept),
      })
    }
    this.#tell('event', kept)
  }

  /**
   * An operation is told of in the async context of whoever asked for it, a long lease in that of whoever gave it back;
   * a wait ends in somebody else's, so its caller was read when it began.
   */
  #traceId(name: KeptEventName, event: object): string | undefined {
    const { openTelemetry } = this.#options
    if (openTelemetry === undefined) return undefined
    try {
      const isOwnContext = name === 'slow' || name === 'longLease'
      const span = isOwnContext ? openTelemetry.trace.getActiveSpan() : (event as { readonly caller?: Span }).caller
      return span?.spanContext().traceId
    } catch {
      return undefined
    }
  }

  #look(): void {
    const at = this.#clock.wallNow()
    for (const watched of this.#watched.values()) {
      const look = lookAt(watched.pool)
      watched.history.add(at, sampleOf(look, watched.looked))
      watched.looked = look
      const alert = watched.utilization?.note(look.stats.utilization, at)
      if (alert !== undefined) this.#alert(alert)
    }
  }

  #alert(alert: UtilizationAlert): void {
    const { pool, firing, utilization, since, at } = alert
    const share = `${Math.round(utilization * 100)} %`
    const seconds = Math.round((at - since) / 1_000)
    this.#write?.({
      level: firing ? 'warn' : 'info',
      message: firing
        ? `pool "${pool}": nearly full for ${seconds} s (${share} in use now)`
        : `pool "${pool}": no longer nearly full (${share} in use)`,
      fields: { ...alert },
    })
    if (utilizationChannel.hasSubscribers) utilizationChannel.publish(alert)
    this.#tell('utilization', alert)
  }

  #logStatistics(): void {
    for (const watched of this.#watched.values()) {
      const look = lookAt(watched.pool)
      this.#write?.(statsLine(look, watched.logged))
      watched.logged = look
    }
  }

  #tell<E extends keyof WatchEvents>(name: E, event: WatchEvents[E]): void {
    for (const listener of this.#listeners[name]) {
      try {
        listener(event)
      } catch (error) {
        process.emitWarning(`watchPools: a listener of '${name}' threw: ${String(error)}`, 'MillpondWarning')
      }
    }
  }
}

/** Begins to watch the pools of a registry: those that are registered, and those that will be. */
export function watchPools(registry: Followable, options: WatchOptions = {}): PoolWatch {
  return new PoolWatch(registry, options)
}

function fieldsOf({
  pool,
  part,
  event,
  text,
  label,
  stack,
  errorCode,
  numbers,
  traceId,
}: KeptEvent): Record<string, unknown> {
  const fields = { pool, part, event, text, label, stack, errorCode, ...numbers, traceId }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function checkUtilization(options: UtilizationOptions | false | undefined): void {
  if (options === false || options === undefined) return
  const { above = 0.8, below = 0.7, forMillis = 60_000 } = options
  checkOption('watch', 'utilization.forMillis', forMillis, { type: 'duration', zero: true })
  if (!(below >= 0 && below <= above && above <= 1)) {
    throw new OptionError(
      'watch',
      'utilization',
      `Expected 0 ≤ \`below\` ≤ \`above\` ≤ 1, got below ${String(below)} and above ${String(above)}`,
    )
  }
}
