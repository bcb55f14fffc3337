import type { PoolContext } from './context.ts'
import { assertPoolMove, type PoolState } from './lifecycle.ts'
import type { Recovery } from './recovery.ts'

/** The state of a pool, and the events that tell of its changes. */
export class Status {
  readonly #context: Pick<PoolContext<unknown>, 'clock' | 'events'> & { readonly name: string }
  #state: PoolState = 'open'
  #pausedAt = 0

  constructor(context: Pick<PoolContext<unknown>, 'clock' | 'events'> & { readonly name: string }) {
    this.#context = context
  }

  get state(): PoolState {
    return this.#state
  }

  set(to: PoolState): void {
    assertPoolMove(this.#state, to)
    this.#state = to
  }

  /** Creates fail, and nothing is open. */
  pause({ lastError, lastFailure = 'disconnect' }: Recovery): void {
    const { clock, events, name } = this.#context
    this.set('paused')
    this.#pausedAt = clock.now()
    if (events.heard('paused')) events.queue('paused', { pool: name, failure: lastFailure, error: lastError })
  }

  /** A probe has succeeded. */
  resumeFromPause({ attempts }: Recovery): void {
    const { clock, events, name } = this.#context
    this.set('open')
    const pausedMillis = clock.now() - this.#pausedAt
    if (events.heard('resumed')) events.queue('resumed', { pool: name, pausedMillis, attempts })
  }

  /** On request: nothing is handed out, or it is again. */
  suspend(suspended: boolean, next: PoolState): void {
    const { events, name } = this.#context
    this.set(next)
    if (events.heard('suspended')) events.queue('suspended', { pool: name, suspended })
  }
}
