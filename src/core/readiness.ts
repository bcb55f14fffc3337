import type { PoolContext } from './context.ts'
import { Deadline } from './deadlines.ts'
import { CreateError } from './errors.ts'
import type { Inventory } from './inventory.ts'
import type { Opener } from './opener.ts'
import { formatMillis } from './report.ts'

/** One `ready()` that waits. */
class Awaiter extends Deadline {
  readonly promise: Promise<void>
  readonly #expired: (awaiter: Awaiter) => void
  resolve!: () => void
  reject!: (error: unknown) => void

  constructor(dueAt: number, expired: (awaiter: Awaiter) => void) {
    super(dueAt)
    this.#expired = expired
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  override get awaited(): boolean {
    return true
  }

  override expire(): void {
    this.#expired(this)
  }
}

/** Who waits for the pool to be ready: for `min` resources, at least one. */
export class Readiness<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #opener: Opener<T>
  readonly #awaiters = new Set<Awaiter>()

  constructor(context: PoolContext<T>, inventory: Inventory<T>, opener: Opener<T>) {
    this.#context = context
    this.#inventory = inventory
    this.#opener = opener
  }

  get awaited(): boolean {
    return this.#awaiters.size > 0
  }

  wait(timeoutMillis: number): Promise<void> {
    const { clock, deadlines } = this.#context
    const awaiter = new Awaiter(clock.now() + timeoutMillis, (expired) => {
      this.#leave(expired)
      expired.reject(this.#timeoutError(timeoutMillis))
    })
    this.#awaiters.add(awaiter)
    deadlines.add(awaiter)
    this.#opener.started = true
    this.#opener.wantedReady = this.#wanted()
    this.#context.changed()
    return awaiter.promise
  }

  /** Part of the pool's dispatch. */
  check(): void {
    const { idle, leased, draining } = this.#inventory
    if (idle + leased - draining < this.#wanted()) return
    for (const awaiter of [...this.#awaiters]) {
      this.#leave(awaiter)
      awaiter.resolve()
    }
  }

  fail(makeError: () => unknown): void {
    for (const awaiter of [...this.#awaiters]) {
      this.#leave(awaiter)
      awaiter.reject(makeError())
    }
  }

  #wanted(): number {
    return Math.max(1, this.#context.sizes.min)
  }

  #leave(awaiter: Awaiter): void {
    this.#awaiters.delete(awaiter)
    this.#context.deadlines.remove(awaiter)
    if (this.#awaiters.size === 0) this.#opener.wantedReady = 0
  }

  #timeoutError(timeoutMillis: number): CreateError {
    const { options, factory } = this.#context
    const open = this.#inventory.idle + this.#inventory.leased
    const message = `pool "${options.name}": not ready within ${formatMillis(timeoutMillis)}: ${open} of ${this.#wanted()} ${factory.kind} resources are open`
    return new CreateError(options.name, message, this.#opener.recovery.lastError)
  }
}
