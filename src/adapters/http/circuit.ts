import { OptionError, PoolDownError } from '../../core/errors.ts'
import { checkOption } from '../../core/option-check.ts'

/**
 * When an origin is left alone for a while (https://martinfowler.com/bliki/CircuitBreaker.html). What counts as a
 * failure: no connection, no or half an answer, and the statuses 500, 502, 503 and 504; an abort of the caller's does not.
 */
export interface CircuitOptions {
  /** Opens when so many of the requests fail, from 0 to 1. @defaultValue 0.5 */
  failureRate?: number | undefined
  /** Never opens by fewer requests than this within the window. @defaultValue 20 */
  minRequests?: number | undefined
  /** What the rate is taken over, in milliseconds. @defaultValue 10_000 */
  windowMillis?: number | undefined
  /** How long it stays open before one request is let through, in milliseconds. @defaultValue 5_000 */
  openMillis?: number | undefined
}

export type CircuitSettings = { readonly [K in keyof CircuitOptions]-?: number }

/** @throws {OptionError} on a wrong value */
export function resolveCircuit(pool: string, given: boolean | CircuitOptions | undefined): CircuitSettings | undefined {
  if (given === undefined || given === false) return undefined
  if (given !== true) checkOption(pool, 'circuit', given, { type: 'object' })
  const { failureRate = 0.5, minRequests = 20, windowMillis = 10_000, openMillis = 5_000 } = given === true ? {} : given
  if (!(typeof failureRate === 'number' && failureRate > 0 && failureRate <= 1)) {
    throw new OptionError(
      pool,
      'circuit.failureRate',
      'Expected `circuit.failureRate` to be a number above 0, at most 1',
    )
  }
  checkOption(pool, 'circuit.minRequests', minRequests, { type: 'integer', min: 1 })
  checkOption(pool, 'circuit.windowMillis', windowMillis, { type: 'duration' })
  checkOption(pool, 'circuit.openMillis', openMillis, { type: 'duration' })
  return { failureRate, minRequests, windowMillis, openMillis }
}

/** Counts of now and of the window before: cheap, and at most two windows old. */
export class Window {
  readonly #millis: number
  #since = -Infinity
  #now = [0, 0]
  #before = [0, 0]

  constructor(millis: number) {
    this.#millis = millis
  }

  #turn(now: number): void {
    const age = now - this.#since
    if (age < this.#millis) return
    this.#before = age < 2 * this.#millis ? this.#now : [0, 0]
    this.#now = [0, 0]
    this.#since = now
  }

  add(which: 0 | 1, now: number): void {
    this.#turn(now)
    this.#now[which] = (this.#now[which] ?? 0) + 1
  }

  sum(which: 0 | 1, now: number): number {
    this.#turn(now)
    return (this.#now[which] ?? 0) + (this.#before[which] ?? 0)
  }

  clear(): void {
    this.#now = [0, 0]
    this.#before = [0, 0]
  }
}

export type CircuitState = 'closed' | 'open' | 'half-open'

/** The circuit of one origin: closed as long as it works, open when it does not, with one probe at a time after that. */
export class Circuit {
  readonly #pool: string
  readonly #settings: CircuitSettings
  /** Requests, and of these the failures. */
  readonly #window: Window
  #state: CircuitState = 'closed'
  #openUntil = 0
  #lastError: unknown
  #opened = 0

  constructor(pool: string, settings: CircuitSettings) {
    this.#pool = pool
    this.#settings = settings
    this.#window = new Window(settings.windowMillis)
  }

  get state(): CircuitState {
    return this.#state
  }

  /** How often it has opened. */
  get opened(): number {
    return this.#opened
  }

  /** Why a request must not be made now; nothing when it may. The first one after a while is the probe. */
  refusal(now = performance.now()): PoolDownError | undefined {
    if (this.#state === 'closed') return undefined
    if (this.#state === 'open' && now >= this.#openUntil) {
      this.#state = 'half-open'
      // A probe that never tells is not waited for longer than this.
      this.#openUntil = now + this.#settings.openMillis
      return undefined
    }
    if (this.#state === 'half-open' && now >= this.#openUntil) {
      this.#openUntil = now + this.#settings.openMillis
      return undefined
    }
    const millis = Math.max(1, Math.ceil(this.#openUntil - now))
    return new PoolDownError(
      this.#pool,
      `pool "${this.#pool}": the circuit is open, because too many requests failed; it lets one through in ${millis} ms`,
      millis,
      this.#lastError,
    )
  }

  succeeded(now = performance.now()): void {
    // Of a request from before it opened: half of them may succeed, and the other half is why it is open.
    if (this.#state === 'open') return
    if (this.#state === 'half-open') {
      this.#state = 'closed'
      this.#window.clear()
    }
    this.#window.add(0, now)
  }

  failed(error: unknown, now = performance.now()): void {
    this.#lastError = error
    this.#window.add(0, now)
    this.#window.add(1, now)
    const { failureRate, minRequests, openMillis } = this.#settings
    const requests = this.#window.sum(0, now)
    const isBad = requests >= minRequests && this.#window.sum(1, now) >= requests * failureRate
    if (this.#state === 'open' || (this.#state === 'closed' && !isBad)) return
    this.#state = 'open'
    this.#openUntil = now + openMillis
    this.#opened++
  }
}
