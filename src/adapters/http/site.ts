import type { CloseReport } from '../../core/close-report.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions, ManagedPool } from '../../core/managed-pool.ts'
import { engineOf, Pool } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import { Circuit, type CircuitState } from './circuit.ts'
import type { HttpConnection } from './connection.ts'
import type { UndiciModule } from './driver.ts'
import { HttpFactory } from './factory.ts'
import type { ResolvedHttpOptions } from './options.ts'
import { RetryBudget } from './retry.ts'

/** The statistics of one origin: those of its pool, and what became of its requests. */
export interface OriginStats extends PoolStats {
  readonly origin: string
  /** Requests that were sent again, because a used connection had been closed by the server. */
  readonly sentAgain: number
  /** Requests that were repeated, because they failed or got an answer such as 503. */
  readonly repeated: number
  /** Bodies that nobody read, and that were given up. */
  readonly unreadBodies: number
  /** Without a circuit always `closed`. */
  readonly circuit: CircuitState
  /** How often the circuit has opened. */
  readonly circuitOpened: number
}

/** One origin: its pool of connections, and what is known of how it does. */
export class Site implements ManagedPool {
  readonly origin: string
  readonly core: Pool<HttpConnection>
  readonly circuit: Circuit | undefined
  readonly budget: RetryBudget | undefined
  sentAgain = 0
  repeated = 0
  #unreadBodies = 0

  constructor(undici: UndiciModule, origin: string, options: ResolvedHttpOptions, http2: boolean) {
    this.origin = origin
    const name = `${options.name} ${origin}`
    const factory = new HttpFactory(undici, origin, options, http2, {
      streamLimit: (limit) => engineOf(this.core).inventory.limitLeases(limit),
    })
    this.core = new Pool(factory, {
      ...options.engine,
      name,
      maxLeasesPerResource: http2 ? options.streamsPerConnection : 1,
    })
    this.core.on('closed', () => factory.stop())
    if (options.circuit !== undefined) this.circuit = new Circuit(name, options.circuit)
    if (options.retry !== undefined) this.budget = new RetryBudget(options.retry.budget)
  }

  get name(): string {
    return this.core.name
  }
  get kind(): string {
    return this.core.kind
  }
  get state(): PoolState {
    return this.core.state
  }

  /** Tells of an unread body: of the first one of this origin by a warning, of all in the statistics. */
  foundUnread(label: string | undefined): void {
    if (this.#unreadBodies++ > 0) return
    const whose = label === undefined ? '' : ` (${label})`
    process.emitWarning(
      `pool "${this.name}": a body was not read${whose}: its connection was kept from others, and is closed; ` +
        'read every body, or call `body.dump()` (fetch: `body.cancel()`)',
      'MillpondWarning',
    )
  }

  stats(): PoolStats {
    return this.core.stats()
  }

  originStats(): OriginStats {
    return {
      ...this.stats(),
      origin: this.origin,
      sentAgain: this.sentAgain,
      repeated: this.repeated,
      unreadBodies: this.#unreadBodies,
      circuit: this.circuit?.state ?? 'closed',
      circuitOpened: this.circuit?.opened ?? 0,
    }
  }

  health(options?: HealthOptions): Promise<HealthCheck> {
    return this.core.health(options)
  }

  close(options?: CloseOptions): Promise<CloseReport> {
    return this.core.close(options)
  }

  on(event: never, listener: never): this {
    this.core.on(event, listener)
    return this
  }
}
