import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { DestroyReason, FailureClass } from './factory.ts'
import type { Inventory } from './inventory.ts'
import { MAINTAINING } from './lifecycle.ts'
import { bounded, classify, reportFailure } from './steps.ts'
import type { Suspicion } from './suspicion.ts'

/** Called with the pool in a consistent state. */
export interface PassageHost<T> {
  /** The resource went through everything that it must; it is in no list. */
  passed(entry: Entry<T>): void
  /** The resource ended before anybody had it. */
  stillborn(entry: Entry<T>, failure: FailureClass, error: unknown): void
}

/**
 * What a resource goes through between two borrowers, each step bounded and none of it seen by a borrower:
 *
 *     created ──► onCreate ─────────────────────────┐
 *     released ─► reset (where needed) ─► afterRelease ─┴─► passed
 *     about to be handed out ─► beforeAcquire ──────────► passed
 */
export class Passage<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #suspicion: Suspicion<T>
  readonly #host: PassageHost<T>
  // What the hot path asks.
  readonly #resets: boolean
  /** A hook runs before every hand-out. */
  readonly prepares: boolean
  /** No hook runs on release. */
  readonly #unhooked: boolean

  constructor(context: PoolContext<T>, inventory: Inventory<T>, suspicion: Suspicion<T>, host: PassageHost<T>) {
    this.#context = context
    this.#inventory = inventory
    this.#suspicion = suspicion
    this.#host = host
    this.#resets = context.factory.reset !== undefined
    this.prepares = context.options.hooks?.beforeAcquire !== undefined
    this.#unhooked = context.options.hooks?.afterRelease === undefined
  }

  created(entry: Entry<T>): void {
    if (this.#context.options.hooks?.onCreate === undefined) this.#host.passed(entry)
    else this.#hook(entry, 'onCreate', () => this.#host.passed(entry))
  }

  /** Whether `beforeAcquire` still has to run for the next hand-out of the entry. */
  needsPreparing(entry: Entry<T>): boolean {
    return this.prepares && !entry.prepared && entry.leases === 0
  }

  prepare(entry: Entry<T>): void {
    this.#hook(entry, 'beforeAcquire', () => {
      entry.prepared = true
      this.#host.passed(entry)
    })
  }

  /** Whether a released resource has nothing to go through. */
  isShort(entry: Entry<T>): boolean {
    return this.#unhooked && (!this.#resets || !this.#needsReset(entry))
  }

  /** Nobody holds the entry any more, and it is not broken. */
  released(entry: Entry<T>): void {
    if (this.#needsReset(entry)) this.#reset(entry)
    else this.#afterRelease(entry)
  }

  #needsReset(entry: Entry<T>): boolean {
    const { factory } = this.#context
    if (factory.reset === undefined) return false
    if (factory.needsReset === undefined) return true
    try {
      return factory.needsReset(entry.resource as T)
    } catch (error) {
      reportFailure(this.#context, 'needsReset', error)
      return true
    }
  }

  #reset(entry: Entry<T>): void {
    const { factory, options, clock } = this.#context
    this.#inventory.startMaintaining(entry, clock.turnNow())
    bounded<T, void>(
      this.#context,
      'reset',
      options.resetTimeoutMillis,
      (step) => factory.reset?.(entry.resource as T, step),
      (outcome) => {
        if (outcome.ok) this.#afterRelease(entry)
        else this.#failed(entry, 'reset', outcome.error)
        this.#context.changed()
      },
    )
  }

  #afterRelease(entry: Entry<T>): void {
    if (this.#unhooked) this.#host.passed(entry)
    else this.#hook(entry, 'afterRelease', () => this.#host.passed(entry))
  }

  #hook(entry: Entry<T>, name: 'onCreate' | 'beforeAcquire' | 'afterRelease', passed: () => void): void {
    const { options, clock } = this.#context
    if (entry.state !== MAINTAINING) this.#inventory.startMaintaining(entry, clock.turnNow())
    bounded<T, void>(
      this.#context,
      name,
      options.hookTimeoutMillis,
      () => options.hooks?.[name]?.(entry.resource as T),
      (outcome) => {
        if (outcome.ok) passed()
        else this.#failed(entry, 'hook', outcome.error)
        this.#context.changed()
      },
    )
  }

  #failed(entry: Entry<T>, reason: DestroyReason, error: unknown): void {
    const failure = classify(this.#context, error, reason === 'hook' ? 'query' : 'disconnect')
    if (reason === 'hook') reportFailure(this.#context, 'a hook', error)
    this.#inventory.destroy(entry, reason, error)
    if (entry.uses === 0) this.#host.stillborn(entry, failure, error)
    else this.#suspicion.noteFailure(entry, failure)
  }
}
