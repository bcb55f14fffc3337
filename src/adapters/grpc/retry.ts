import { OptionError } from '../../core/errors.ts'
import { checkOption } from '../../core/option-check.ts'

/**
 * When the driver repeats a call that failed (https://github.com/grpc/proposal/blob/master/A6-client-retries.md). All
 * methods are repeated, so it is for services whose methods may be.
 */
export interface RetryOptions {
  /** Attempts in all, the first one included; 2 to 5. @defaultValue 4 */
  maxAttempts?: number | undefined
  /** The second attempt comes after up to this time. @defaultValue 100 */
  initialBackoffMillis?: number | undefined
  /** No attempt waits longer. @defaultValue 1_000 */
  maxBackoffMillis?: number | undefined
  /** Every attempt waits so many times longer than the one before. @defaultValue 2 */
  backoffMultiplier?: number | undefined
  /** Which status codes are repeated, by name. @defaultValue ['UNAVAILABLE'] */
  retryableStatusCodes?: readonly string[] | undefined
}

const CODES = [
  'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE',
  'DATA_LOSS', 'UNAUTHENTICATED',
] // prettier-ignore

const seconds = (millis: number): string => `${millis / 1000}s`

/**
 * The driver’s service config for these retries, with a budget: 50 at once, then one for every ten calls that succeed.
 * @throws {OptionError} on a wrong value
 */
export function serviceConfigOf(pool: string, retry: RetryOptions): string {
  const {
    maxAttempts = 4,
    initialBackoffMillis = 100,
    maxBackoffMillis = 1_000,
    backoffMultiplier = 2,
    retryableStatusCodes = ['UNAVAILABLE'],
  } = retry
  checkOption(pool, 'retry.maxAttempts', maxAttempts, { type: 'integer', min: 2 })
  checkOption(pool, 'retry.initialBackoffMillis', initialBackoffMillis, { type: 'duration' })
  checkOption(pool, 'retry.maxBackoffMillis', maxBackoffMillis, { type: 'duration' })
  if (maxAttempts > 5) {
    throw new OptionError(
      pool,
      'retry.maxAttempts',
      `Expected \`retry.maxAttempts\` to be at most 5, got ${maxAttempts}`,
    )
  }
  if (!(typeof backoffMultiplier === 'number' && backoffMultiplier > 0)) {
    throw new OptionError(pool, 'retry.backoffMultiplier', 'Expected `retry.backoffMultiplier` to be a number above 0')
  }
  for (const code of retryableStatusCodes) {
    checkOption(pool, 'retry.retryableStatusCodes', code, { type: 'one-of', values: CODES })
  }
  return JSON.stringify({
    methodConfig: [
      {
        name: [{}],
        retryPolicy: {
          maxAttempts,
          initialBackoff: seconds(initialBackoffMillis),
          maxBackoff: seconds(maxBackoffMillis),
          backoffMultiplier,
          retryableStatusCodes,
        },
      },
    ],
    retryThrottling: { maxTokens: 100, tokenRatio: 0.1 },
  })
}
