import type { PoolContext } from './context.ts'
import { Deadline } from './deadlines.ts'
import type { FailureClass, StepContext } from './factory.ts'

/** A step of the pool took longer than it may. */
export class StepTimeoutError extends Error {
  readonly code = 'ETIMEDOUT'

  constructor(step: string, millis: number) {
    super(`${step} took longer than ${millis} ms`)
  }

  static {
    this.prototype.name = 'StepTimeoutError'
  }
}

/** The pool gave a step up before its time, because it closed. */
export class StepCancelledError extends StepTimeoutError {
  static {
    this.prototype.name = 'StepCancelledError'
  }
}

/** How a step ended: with a value, or with an error. */
export type Outcome<R> = { readonly ok: true; readonly value: R } | { readonly ok: false; readonly error: unknown }

/** What a step needs of its pool. */
type StepHost = Pick<PoolContext<unknown>, 'clock' | 'deadlines'>

/** One bounded call of user code. The step is its own deadline and its own context. */
class Step<R> extends Deadline implements StepContext {
  readonly #name: string
  readonly #limitMillis: number
  readonly #done: (outcome: Outcome<R>) => void
  readonly #late: ((outcome: Outcome<R>) => void) | undefined
  readonly #context: StepHost
  #over = false
  #controller: AbortController | undefined
  #gaveUp: Error | undefined

  constructor(
    context: StepHost,
    name: string,
    limitMillis: number,
    done: (outcome: Outcome<R>) => void,
    late: ((outcome: Outcome<R>) => void) | undefined,
  ) {
    super(context.clock.now() + limitMillis)
    this.#context = context
    this.#name = name
    this.#limitMillis = limitMillis
    this.#done = done
    this.#late = late
  }

  /** Made only for those who ask. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#gaveUp !== undefined) this.#controller.abort(this.#gaveUp)
    return this.#controller.signal
  }

  settle(outcome: Outcome<R>): void {
    if (this.#over) {
      this.#late?.(outcome)
      return
    }
    this.#over = true
    this.#context.deadlines.remove(this)
    this.#done(outcome)
  }

  override expire(): void {
    this.#giveUp(new StepTimeoutError(this.#name, this.#limitMillis))
  }

  cancel(): void {
    if (!this.#over)
      this.#giveUp(new StepCancelledError(this.#name, this.#context.clock.now() - this.dueAt + this.#limitMillis))
  }

  #giveUp(error: Error): void {
    this.#gaveUp = error
    this.settle({ ok: false, error })
    this.#controller?.abort(error)
  }
}

/**
 * Calls user code that may throw, hang or answer late. `done` is called once: with the outcome, or with a
 * {@link StepTimeoutError}; what comes after that goes to `late`. Returns a function that gives the step up at once.
 */
export function bounded<T, R>(
  context: PoolContext<T>,
  name: string,
  limitMillis: number,
  call: (step: StepContext) => R | PromiseLike<R>,
  done: (outcome: Outcome<R>) => void,
  late?: (outcome: Outcome<R>) => void,
): () => void {
  const step = new Step<R>(context, name, limitMillis, done, late)
  context.deadlines.add(step)
  try {
    const result = context.detached(() => call(step))
    if (isPromiseLike(result)) {
      result.then(
        (value) => step.settle({ ok: true, value }),
        (error: unknown) => step.settle({ ok: false, error }),
      )
    } else {
      step.settle({ ok: true, value: result })
    }
  } catch (error) {
    step.settle({ ok: false, error })
  }
  return () => step.cancel()
}

function isPromiseLike<R>(value: R | PromiseLike<R>): value is PromiseLike<R> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** What the error says, in the adapter's words; `fallback` where it has none, or there is no error. */
export function classify<T>(context: PoolContext<T>, error: unknown, fallback: FailureClass): FailureClass {
  if (error instanceof StepTimeoutError) return 'timeout'
  if (error === undefined || context.factory.classify === undefined) return fallback
  try {
    return context.factory.classify(error)
  } catch (thrown) {
    reportFailure(context, 'classify', thrown)
    return fallback
  }
}

/** Whether who holds the resource holds it on purpose, as the adapter sees it. */
export function isHeldOnPurpose<T>(context: PoolContext<T>, resource: T): boolean {
  try {
    return context.factory.isHeldOnPurpose?.(resource) ?? false
  } catch (error) {
    reportFailure(context, 'isHeldOnPurpose', error)
    return false
  }
}

/** Tells about an error of user code that no caller can be told. */
export function reportFailure<T>(context: PoolContext<T>, from: string, error: unknown): void {
  const pool = context.options.name
  if (context.events.heard('failure')) context.events.queue('failure', { pool, from, error })
  else process.emitWarning(`pool "${pool}": ${from} failed: ${String(error)}`, 'MillpondWarning')
}
