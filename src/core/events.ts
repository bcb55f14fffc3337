import { channel, type Channel } from 'node:diagnostics_channel'
import type { DestroyReason, FailureClass } from './factory.ts'
import type { CloseReport } from './close-report.ts'
import type { LeaseInfo } from './report.ts'

interface ResourceEvent {
  readonly pool: string
  /** Counts up from 1 within the pool, in the order of the creates. */
  readonly resourceId: number
  readonly generation: number
}

interface LeaseEvent extends ResourceEvent {
  readonly label: string | undefined
}

interface LeakEvent extends LeaseEvent {
  readonly heldMillis: number
  /** Where the lease was acquired, when stacks are tracked. */
  readonly stack: string | undefined
}

/** An operation that took longer than `slowMillis`, all together. */
export interface SlowOperation {
  readonly pool: string
  /** What was done, without a value in it: the fingerprint of a statement, a command's name, a method and route. */
  readonly operation: string
  /** The label of the lease that it ran on. */
  readonly label: string | undefined
  /** How long it waited for a resource; 0 where the caller held one already. */
  readonly waitMillis: number
  /** How long it took from then on. */
  readonly useMillis: number
  readonly failed: boolean
}

/**
 * Every event of a pool and what it carries; the set follows MongoDB's "Connection Monitoring and Pooling"
 * specification. Durations are milliseconds. Each event is also published on the channel `millpond:<event>` of
 * `node:diagnostics_channel`.
 */
export interface PoolEvents {
  /** A create has begun. */
  createStarted: ResourceEvent & { readonly attempt: number }
  /** A create has succeeded. */
  created: ResourceEvent & { readonly durationMillis: number }
  /** A create has failed. */
  createFailed: ResourceEvent & {
    readonly durationMillis: number
    readonly failure: FailureClass
    readonly error: unknown
  }
  /** A resource is closed. */
  destroyed: ResourceEvent & {
    readonly reason: DestroyReason
    readonly ageMillis: number
    readonly uses: number
    readonly error?: unknown
  }
  /** Someone asks for a resource. */
  acquireStarted: { readonly pool: string; readonly label: string | undefined }
  /**
   * The wait of someone is over, with a resource or without, as far as tracing asks for it (`instrument`): it was long
   * enough, and something was read of the caller when it began. `caller` is that: the span that was active.
   */
  waited: {
    readonly pool: string
    readonly label: string | undefined
    readonly waitMillis: number
    readonly acquired: boolean
    readonly caller: unknown
  }
  /** Someone got nothing. `caller` is as in `waited`. */
  acquireFailed: {
    readonly pool: string
    readonly label: string | undefined
    readonly reason: 'timeout' | 'aborted' | 'refused' | 'failed'
    readonly durationMillis: number
    readonly error: unknown
    readonly caller?: unknown
  }
  /** Someone got a resource. */
  acquired: LeaseEvent & { readonly durationMillis: number }
  /** Someone gave a resource back. */
  released: LeaseEvent & { readonly useMillis: number; readonly error?: unknown }
  /** A validation has ended. */
  validated: ResourceEvent & { readonly durationMillis: number; readonly error?: unknown }
  /** A lease is out longer than `leakThresholdMillis`. */
  leak: LeakEvent
  /** A lease that was reported came back after all. */
  leakReturned: LeakEvent
  /** A lease was garbage-collected unreleased; its resource is destroyed. */
  abandoned: LeakEvent
  /** A lease was out longer than `maxUseMillis`; its resource is taken away. */
  overused: LeakEvent
  /** An operation took longer than `slowMillis`, waiting included. `operation` is its fingerprint: no values. */
  slow: SlowOperation
  /** Someone waited longer than `slowMillis` for a resource, and got it. `caller` is as in `waited`. */
  longWait: LeaseEvent & { readonly waitMillis: number; readonly caller?: unknown }
  /** A lease was out longer than `slowMillis`, and came back. */
  longLease: LeaseEvent & { readonly useMillis: number }
  /** A `use` callback waits for its own pool. */
  nested: { readonly pool: string; readonly label: string | undefined; readonly holder: LeaseInfo }
  /** Every lease belongs to a `use` callback that itself waits for this pool. */
  deadlock: { readonly pool: string; readonly holders: readonly LeaseInfo[] }
  /** All resources of the generation will be replaced. A paused pool has none: it only counts the generation. */
  invalidated: {
    readonly pool: string
    readonly generation: number
    readonly reason: string
    readonly automatic: boolean
  }
  /** The server takes no more connections; the pool makes do with `limit` for a while. */
  saturated: { readonly pool: string; readonly limit: number }
  /** The server cannot be reached; one probe at a time from now on. */
  paused: { readonly pool: string; readonly failure: FailureClass; readonly error: unknown }
  /** A probe has begun. */
  probe: { readonly pool: string; readonly attempt: number }
  /** The server is back. */
  resumed: { readonly pool: string; readonly pausedMillis: number; readonly attempts: number }
  /** The pool was suspended or resumed on request. */
  suspended: { readonly pool: string; readonly suspended: boolean }
  /** The process was frozen; every idle resource is validated before its next use. */
  frozen: { readonly pool: string; readonly gapMillis: number }
  /** `resize` changed the sizes. */
  resized: { readonly pool: string; readonly min: number; readonly max: number }
  /** Something about how the pool is used is probably a mistake; told once, also as a warning of the process. */
  mistake: { readonly pool: string; readonly code: string; readonly message: string }
  /** A listener, a hook or a part of the factory threw where nobody could be told. */
  failure: { readonly pool: string; readonly from: string; readonly error: unknown }
  /** The pool is closed; the report of `close`. */
  closed: CloseReport
}

export type PoolEventName = keyof PoolEvents

const EVENT_TABLE: Readonly<Record<PoolEventName, true>> = {
  createStarted: true,
  created: true,
  createFailed: true,
  destroyed: true,
  acquireStarted: true,
  waited: true,
  acquireFailed: true,
  acquired: true,
  released: true,
  validated: true,
  leak: true,
  leakReturned: true,
  abandoned: true,
  overused: true,
  slow: true,
  longWait: true,
  longLease: true,
  nested: true,
  deadlock: true,
  invalidated: true,
  saturated: true,
  paused: true,
  probe: true,
  resumed: true,
  suspended: true,
  frozen: true,
  resized: true,
  mistake: true,
  failure: true,
  closed: true,
}

export const POOL_EVENT_NAMES = Object.keys(EVENT_TABLE) as readonly PoolEventName[]

type Listener = (event: never) => void

/** So many places for what is to be told are kept; a burst takes more for as long as it lasts. */
const MOST_PLACES = 64

/** One event: who listens to it, and its channel, which is the same for every pool and every copy of this package. */
class Topic {
  readonly name: PoolEventName
  listeners: readonly Listener[] = []
  readonly channel: Channel

  constructor(name: PoolEventName) {
    this.name = name
    this.channel = channel(`millpond:${name}`)
  }

  /** Whether anybody would hear of it. Asked before a payload is made: unheard events cost nothing. */
  get heard(): boolean {
    return this.listeners.length > 0 || this.channel.hasSubscribers
  }
}

/**
 * Delivers events to listeners and channels, in order, only while the pool is in a consistent state: events are queued
 * as they happen and delivered by {@link flush}, which the pool calls between two state changes. A listener that
 * throws is reported and changes nothing.
 */
export class Events {
  readonly #topics: Readonly<Record<PoolEventName, Topic>>
  // What is asked for with every acquire, release or operation, in reach without a look-up.
  readonly acquireStarted: Topic
  readonly acquired: Topic
  readonly released: Topic
  readonly slow: Topic
  readonly #pool: string
  // What is to be told: an event, and under the same number its topic. The places are used again: somebody who hears of
  // every acquire and release costs no more than the events themselves.
  readonly #events: (PoolEvents[PoolEventName] | undefined)[] = []
  readonly #topicOf: Topic[] = []
  #queued = 0
  #flushing = false

  constructor(pool: string) {
    this.#pool = pool
    const topics = Object.fromEntries(POOL_EVENT_NAMES.map((name) => [name, new Topic(name)]))
    this.#topics = topics as Record<PoolEventName, Topic>
    this.acquireStarted = this.#topics.acquireStarted
    this.acquired = this.#topics.acquired
    this.released = this.#topics.released
    this.slow = this.#topics.slow
  }

  heard(name: PoolEventName): boolean {
    return this.#topics[name].heard
  }

  on(name: PoolEventName, listener: Listener): void {
    const topic = this.#topics[name]
    topic.listeners = [...topic.listeners, listener]
  }

  off(name: PoolEventName, listener: Listener): void {
    const topic = this.#topics[name]
    topic.listeners = topic.listeners.filter((other) => other !== listener)
  }

  clear(): void {
    for (const topic of Object.values(this.#topics)) topic.listeners = []
  }

  queue<E extends PoolEventName>(name: E, event: PoolEvents[E]): void {
    this.#topicOf[this.#queued] = this.#topics[name]
    this.#events[this.#queued++] = event
  }

  /** Nobody hears of acquires that succeed at once. */
  get quiet(): boolean {
    return !this.acquireStarted.heard && !this.acquired.heard
  }

  /** Whether all is told by now; it is not, where somebody who is just being told calls. */
  flush(): boolean {
    if (this.#queued > 0 && !this.#flushing) this.#flush()
    return this.#queued === 0
  }

  #flush(): void {
    this.#flushing = true
    // What listeners cause comes behind what is told already.
    for (let next = 0; next < this.#queued; next++) {
      const event = this.#events[next]
      this.#events[next] = undefined
      this.#deliver(this.#topicOf[next] as Topic, event)
    }
    if (this.#queued > MOST_PLACES) this.#events.length = this.#topicOf.length = 0
    this.#queued = 0
    this.#flushing = false
  }

  #deliver(topic: Topic, event: unknown): void {
    for (const listener of topic.listeners) {
      try {
        listener(event as never)
      } catch (error) {
        this.#listenerThrew(topic.name, error)
      }
    }
    // A subscriber's exception is rethrown by Node on the next tick, as for every diagnostics channel.
    if (topic.channel.hasSubscribers) topic.channel.publish(event)
  }

  #listenerThrew(name: PoolEventName, error: unknown): void {
    if (name !== 'failure' && this.heard('failure')) {
      this.queue('failure', { pool: this.#pool, from: `a listener of '${name}'`, error })
    } else {
      process.emitWarning(`pool "${this.#pool}": a listener of '${name}' threw: ${String(error)}`, 'MillpondWarning')
    }
  }
}
