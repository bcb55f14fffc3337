import { OptionError, PoolError } from '../../core/errors.ts'
import { checkOption } from '../../core/option-check.ts'
import { Window } from './circuit.ts'

/**
 * Which requests are repeated, and when. Only GET, HEAD, OPTIONS, TRACE, PUT and DELETE, whose effect is the same as
 * often as they are made (https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2), with a body that can be sent again.
 */
export interface RetryOptions {
  /** Attempts after the first one. @defaultValue 2 */
  maxRetries?: number | undefined
  /** The first repetition comes after up to this time, in milliseconds; each waits up to twice as long as the one before. @defaultValue 100 */
  baseMillis?: number | undefined
  /** No repetition waits longer, in milliseconds. A server that asks for more by `Retry-After` is not asked again. @defaultValue 5_000 */
  maxMillis?: number | undefined
  /** Which answers are repeated. @defaultValue [429, 500, 502, 503, 504] */
  statuses?: readonly number[] | undefined
  /** Repetitions for each request that an origin gets, beyond the first ten, within about ten seconds. @defaultValue 0.1 */
  budget?: number | undefined
}

export interface RetrySettings {
  readonly maxRetries: number
  readonly baseMillis: number
  readonly maxMillis: number
  readonly statuses: ReadonlySet<number>
  readonly budget: number
}

/** @throws {OptionError} on a wrong value */
export function resolveRetry(pool: string, given: boolean | RetryOptions | undefined): RetrySettings | undefined {
  if (given === undefined || given === false) return undefined
  if (given !== true) checkOption(pool, 'retry', given, { type: 'object' })
  const {
    maxRetries = 2,
    baseMillis = 100,
    maxMillis = 5_000,
    statuses = [429, 500, 502, 503, 504],
    budget = 0.1,
  } = given === true ? {} : given
  checkOption(pool, 'retry.maxRetries', maxRetries, { type: 'integer', min: 1 })
  checkOption(pool, 'retry.baseMillis', baseMillis, { type: 'duration' })
  checkOption(pool, 'retry.maxMillis', maxMillis, { type: 'duration' })
  if (!(typeof budget === 'number' && budget >= 0)) {
    throw new OptionError(pool, 'retry.budget', 'Expected `retry.budget` to be a number ≥ 0, a share of the requests')
  }
  if (!Array.isArray(statuses) || !statuses.every((status) => Number.isInteger(status) && status >= 400)) {
    throw new OptionError(pool, 'retry.statuses', 'Expected `retry.statuses` to be an array of statuses from 400 on')
  }
  return { maxRetries, baseMillis, maxMillis, statuses: new Set(statuses), budget }
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether it does no harm to send such a request twice. */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)

/** Whether a body can be sent again: a stream or an iterator cannot. */
export function isReplayable(body: unknown): boolean {
  return body == null || typeof body === 'string' || body instanceof ArrayBuffer || ArrayBuffer.isView(body)
}

/** An error of the network, of the connection or of an overloaded pool; not one of the caller's. */
export function isTransient(error: unknown): boolean {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: unknown }
  if (typeof code !== 'string') return false
  if (PoolError.is(error)) return false
  return TRANSIENT.has(code)
}

const TRANSIENT: ReadonlySet<string> = new Set([
  'ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'ENOTFOUND', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH',
  'EPIPE', 'EAI_AGAIN', 'ETIMEDOUT', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT',
  'ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_SESSION_ERROR', 'ERR_HTTP2_STREAM_ERROR',
]) // prettier-ignore

const BUDGET_WINDOW_MILLIS = 10_000
/** Repetitions that are always granted: who asks little must get them too. */
const FREE_RETRIES = 10

/**
 * What one origin may be asked again, so that repetitions never become most of what an origin in trouble gets:
 * ten, and beyond these a share of its requests (after https://sre.google/sre-book/handling-overload/).
 */
export class RetryBudget {
  readonly #share: number
  /** Requests, and repetitions. */
  readonly #window = new Window(BUDGET_WINDOW_MILLIS)

  constructor(share: number) {
    this.#share = share
  }

  requested(now = performance.now()): void {
    this.#window.add(0, now)
  }

  /** Takes one repetition, if there is one. */
  take(now = performance.now()): boolean {
    const used = this.#window.sum(1, now)
    if (used >= FREE_RETRIES && used >= FREE_RETRIES + this.#share * (this.#window.sum(0, now) - FREE_RETRIES))
      return false
    this.#window.add(1, now)
    return true
  }
}

/** How long a server asks to be left alone, in milliseconds (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3). */
export function retryAfterMillis(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1_000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/**
 * The pause before a repetition: anything up to `base · 2ⁿ` within the cap ("full jitter",
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and no less than the server asks for.
 * Nothing when that is more than the cap.
 */
export function pauseMillis(
  { baseMillis, maxMillis }: RetrySettings,
  attempt: number,
  askedMillis: number | undefined,
  random: () => number,
): number | undefined {
  if (askedMillis !== undefined && askedMillis > maxMillis) return undefined
  const pause = random() * Math.min(maxMillis, baseMillis * 2 ** attempt)
  return askedMillis === undefined ? pause : Math.min(maxMillis, askedMillis + pause)
}
