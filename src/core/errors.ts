import type { AcquireReport } from './report.ts'

/** The codes of every error that a pool throws by itself. They are stable; match on them. */
export type PoolErrorCode =
  | 'ERR_POOL_ACQUIRE_TIMEOUT'
  | 'ERR_POOL_OVERLOADED'
  | 'ERR_POOL_CLOSED'
  | 'ERR_POOL_DOWN'
  | 'ERR_POOL_CREATE'
  | 'ERR_POOL_LEASE_RELEASED'
  | 'ERR_POOL_DEADLOCK'
  | 'ERR_POOL_OPTION'
  | 'ERR_POOL_NAME_TAKEN'

// Registered, so that an error is recognised by another copy of this package.
const BRAND = Symbol.for('millpond.PoolError')

/** The base of every error that a pool throws by itself. */
export class PoolError extends Error {
  readonly code: PoolErrorCode
  /** The name of the pool. */
  readonly pool: string

  constructor(code: PoolErrorCode, pool: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.pool = pool
  }

  static {
    this.prototype.name = 'PoolError'
    Object.defineProperty(this.prototype, BRAND, { value: true })
  }

  /** Tells whether this is a pool's error (of that code), also one of another copy of this package. */
  static is(error: unknown, code?: PoolErrorCode): error is PoolError {
    if (typeof error !== 'object' || error === null || !(BRAND in error)) return false
    return code === undefined || (error as unknown as PoolError).code === code
  }
}

/**
 * Makes an error that has no stack: where a timer fired, or somebody else asked, says nothing about who waited, and
 * thousands of stacks together would block the event loop.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Nothing became free in time. The message and {@link report} say why. */
export class AcquireTimeoutError extends PoolError {
  readonly waitedMillis: number
  /** How far a stall of the event loop extended the deadline, in milliseconds; 0 where it did not. */
  readonly stallMillis: number
  readonly report: AcquireReport

  constructor(
    pool: string,
    message: string,
    waitedMillis: number,
    stallMillis: number,
    report: AcquireReport,
    cause?: unknown,
  ) {
    super('ERR_POOL_ACQUIRE_TIMEOUT', pool, message, cause === undefined ? undefined : { cause })
    this.waitedMillis = waitedMillis
    this.stallMillis = stallMillis
    this.report = report
  }

  static {
    this.prototype.name = 'AcquireTimeoutError'
  }
}

/** The pool refused to queue the caller, or shed it from the queue. Trying again at once makes it worse. */
export class OverloadedError extends PoolError {
  /** `queue-full`: `maxWaiting` wait already · `deadline`: it would not be served in time · `shed`: dropped by CoDel. */
  readonly reason: 'queue-full' | 'deadline' | 'shed'
  /** When it may make sense to try again, in milliseconds from now. */
  readonly retryAfterMillis: number

  constructor(pool: string, message: string, reason: OverloadedError['reason'], retryAfterMillis: number) {
    super('ERR_POOL_OVERLOADED', pool, message)
    this.reason = reason
    this.retryAfterMillis = retryAfterMillis
  }

  static {
    this.prototype.name = 'OverloadedError'
  }
}

/** The pool is closing or closed. */
export class PoolClosedError extends PoolError {
  constructor(pool: string, message: string) {
    super('ERR_POOL_CLOSED', pool, message)
  }

  static {
    this.prototype.name = 'PoolClosedError'
  }
}

/** The server cannot be reached and `failFastWhenDown` is set. `cause` is the last create error. */
export class PoolDownError extends PoolError {
  /** When the next probe is due, in milliseconds from now. */
  readonly retryAfterMillis: number

  constructor(pool: string, message: string, retryAfterMillis: number, cause: unknown) {
    super('ERR_POOL_DOWN', pool, message, { cause })
    this.retryAfterMillis = retryAfterMillis
  }

  static {
    this.prototype.name = 'PoolDownError'
  }
}

/** A resource could not be created, and asking again would not help (credentials, TLS, configuration). `cause` is the real error. */
export class CreateError extends PoolError {
  constructor(pool: string, message: string, cause: unknown) {
    super('ERR_POOL_CREATE', pool, message, { cause })
  }

  static {
    this.prototype.name = 'CreateError'
  }
}

/** A lease was released twice, or used after its end. Nothing has changed by it. */
export class LeaseReleasedError extends PoolError {
  constructor(pool: string, message: string) {
    super('ERR_POOL_LEASE_RELEASED', pool, message)
  }

  static {
    this.prototype.name = 'LeaseReleasedError'
  }
}

/** Every lease belongs to a `use` callback that itself waits for this pool. */
export class DeadlockError extends PoolError {
  constructor(pool: string, message: string) {
    super('ERR_POOL_DEADLOCK', pool, message)
  }

  static {
    this.prototype.name = 'DeadlockError'
  }
}

/** An option is unknown, has a wrong value, or contradicts another. */
export class OptionError extends PoolError {
  readonly option: string

  constructor(pool: string, option: string, message: string) {
    super('ERR_POOL_OPTION', pool, message)
    this.option = option
  }

  static {
    this.prototype.name = 'OptionError'
  }
}

/** Another pool is registered under this name. */
export class NameTakenError extends PoolError {
  constructor(pool: string, message: string) {
    super('ERR_POOL_NAME_TAKEN', pool, message)
  }

  static {
    this.prototype.name = 'NameTakenError'
  }
}
