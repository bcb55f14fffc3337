import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { DestroyReason, FailureClass } from './factory.ts'
import type { Inventory } from './inventory.ts'
import { IDLE } from './lifecycle.ts'
import { bounded, classify, type Outcome } from './steps.ts'

/** A changed role invalidates at most this often: a flapping server must not empty the pool again and again. */
const ROLE_CHANGE_MILLIS = 30_000

/** Called with the pool in a consistent state. */
export interface SuspicionHost<T> {
  invalidate(reason: string, automatic: boolean): void
  /** A check has passed; the resource is in no list. */
  checked(entry: Entry<T>): void
}

/**
 * Tells the death of one resource from the death of the server. One terminated connection, or one idle one cut by a
 * load balancer, costs itself only; a restart costs every resource of the generation at once instead of one error each.
 *
 *     a resource died ──► restart? ──────────────────────────► invalidate the generation
 *                    └──► otherwise all are suspect, and one other idle one is validated at once
 *                              ├─ fails ──────────────────────► invalidate the generation
 *                              └─ passes ─► nobody is suspect any more (but who was suspect before, after a freeze)
 */
export class Suspicion<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #host: SuspicionHost<T>
  #checking = false
  /** Since then everybody is suspect whatever a witness says: a frozen process does not hear what the server forgot. */
  #frozenAt = -Infinity
  #roleChangedAt = -Infinity

  constructor(context: PoolContext<T>, inventory: Inventory<T>, host: SuspicionHost<T>) {
    this.#context = context
    this.#inventory = inventory
    this.#host = host
  }

  /** Draws the conclusions from an error of one resource. Errors of an older generation are old news. */
  noteFailure(entry: Entry<T>, failure: FailureClass): void {
    if (entry.generation !== this.#inventory.generation) return
    if (failure === 'restart') this.#host.invalidate('restart', true)
    else if (failure === 'disconnect' || failure === 'timeout') this.#suspectOthers('disconnect')
    else if (failure === 'role-change') this.#suspectOthers('role-change')
  }

  /** The process was frozen: every idle resource must show for itself that it works. */
  noteFreeze(now: number): void {
    this.#frozenAt = now
    this.#inventory.suspectSince = now
  }

  #suspectOthers(of: 'disconnect' | 'role-change'): void {
    const { factory, clock, detached } = this.#context
    if (factory.validate === undefined) return
    const now = clock.now()
    if (of === 'role-change' && now - this.#roleChangedAt < ROLE_CHANGE_MILLIS) return
    if (of === 'disconnect') this.#inventory.suspectSince = now
    if (this.#checking) return
    this.#checking = true
    // Connections that were cut together are told of one after the other within one turn: those need no witness.
    detached(() => {
      clock.afterTurn(() => this.#askWitness(of))
    })
  }

  #askWitness(of: 'disconnect' | 'role-change'): void {
    const witness = this.#inventory.available.peek()
    if (witness?.state !== IDLE || !this.#inventory.sound(witness, this.#context.clock.now())) {
      this.#checking = false
      return
    }
    const { suspectSince } = this.#inventory
    this.check(witness, (failure) => {
      this.#checking = false
      if (witness.generation !== this.#inventory.generation) return
      if (of === 'role-change') {
        if (failure !== 'role-change') return
        this.#roleChangedAt = this.#context.clock.now()
        this.#host.invalidate('role-change', true)
      } else if (failure === undefined) {
        // The server is there. What died in the meantime has told so itself.
        if (this.#inventory.suspectSince === suspectSince) this.#inventory.suspectSince = this.#frozenAt
      } else {
        this.#host.invalidate('disconnect', true)
      }
    })
  }

  /**
   * Validates an idle resource, bounded. Passing makes it available again, failing destroys it; `then` hears which.
   * @param cold - it is a keep-alive: the resource goes back to where it was
   */
  check(entry: Entry<T>, then?: (failure: FailureClass | undefined) => void, cold = false): void {
    const { clock, options, factory } = this.#context
    const startedAt = clock.now()
    this.#inventory.startMaintaining(entry, startedAt)
    bounded<T, void>(
      this.#context,
      'validate',
      options.validateTimeoutMillis,
      (step) => factory.validate?.(entry.resource as T, step),
      (outcome) => {
        this.#announce(entry, startedAt, outcome)
        if (outcome.ok) {
          entry.provenAt = clock.now()
          then?.(undefined)
          this.#passed(entry, cold)
        } else {
          const failure = classify(this.#context, outcome.error, 'disconnect')
          this.#inventory.destroy(entry, 'validate', outcome.error)
          if (then === undefined) this.noteFailure(entry, failure)
          else then(failure)
        }
        this.#context.changed()
      },
    )
  }

  /** Validates the coldest idle resource; false when that fails or takes longer. True where nothing can be validated. */
  probe(timeoutMillis: number): Promise<boolean> {
    const [entry] = this.#inventory.available.coldestFirst()
    if (entry?.state !== IDLE || this.#context.factory.validate === undefined) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = this.#context.clock.setTimer(() => resolve(false), timeoutMillis)
      const answered = (failure: FailureClass | undefined): void => {
        timer.cancel()
        resolve(failure === undefined)
        if (failure !== undefined) this.noteFailure(entry, failure)
      }
      this.check(entry, answered, true)
    })
  }

  #passed(entry: Entry<T>, cold: boolean): void {
    const now = this.#context.clock.now()
    const defect: DestroyReason | undefined = this.#inventory.defect(entry, now)
    if (defect !== undefined) this.#inventory.destroy(entry, defect)
    else if (cold) this.#inventory.makeAvailable(entry, now, true)
    else this.#host.checked(entry)
  }

  #announce(entry: Entry<T>, startedAt: number, outcome: Outcome<void>): void {
    const { events, options, clock } = this.#context
    if (!events.heard('validated')) return
    events.queue('validated', {
      pool: options.name,
      resourceId: entry.id,
      generation: entry.generation,
      durationMillis: clock.now() - startedAt,
      ...(outcome.ok ? {} : { error: outcome.error }),
    })
  }
}
