import type { Lease } from '../../core/lease.ts'
import type { PoolOptions } from '../../core/options.ts'
import { lookForRoom } from '../../core/mistakes.ts'
import { engineOf, Pool, type AcquireOptions } from '../../core/pool.ts'
import { askRoom } from './capacity.ts'
import { isConnectionLoss, isReadOnly } from './classify.ts'
import type { Dialect, DriverClient } from './driver.ts'
import type { DriverErrors } from './driver-errors.ts'
import type { ExclusiveOptions, FaceOwner } from './face-host.ts'
import { RedisFactory, type RedisFactoryHost } from './factory.ts'
import { lend, overError } from './leased-client.ts'
import { MaxRetriesPerRequestError } from './shared-lane.ts'

export interface ExclusiveLaneHost extends RedisFactoryHost {
  /** A write was refused: the server is a replica. */
  readOnly(client: DriverClient): void
  /** Whether the pool is closing, so that nothing is asked again. */
  readonly isClosing: boolean
}

/** Connections to one server that are leased: for one command that blocks, or for a callback. */
export class ExclusiveLane {
  readonly pool: Pool<DriverClient>
  readonly #dialect: Dialect
  readonly #errors: DriverErrors
  readonly #host: ExclusiveLaneHost
  /** Leased for one command. It is slow on purpose: no leak, nothing to announce. */
  readonly #blocked = new WeakSet<DriverClient>()
  #capacityCompared = false

  constructor(dialect: Dialect, options: PoolOptions<DriverClient>, errors: DriverErrors, host: ExclusiveLaneHost) {
    this.#dialect = dialect
    this.#errors = errors
    this.#host = host
    const lane: RedisFactoryHost = {
      ...host,
      opened: (client) => {
        host.opened?.(client)
        void this.#compareCapacity(client)
      },
      isHeld: (client) => this.#blocked.has(client),
    }
    this.pool = new Pool(new RedisFactory(dialect, 'exclusive', lane), options)
  }

  /** Once, over the first connection: the question goes out before anything that its borrower sends. */
  async #compareCapacity(client: DriverClient): Promise<void> {
    if (this.#capacityCompared) return
    this.#capacityCompared = true
    await lookForRoom(engineOf(this.pool), 'maxclients', () => askRoom(this.#dialect, client))
  }

  /** A command of the adapter's own over a connection that is leased. */
  async ask(client: DriverClient, ...command: string[]): Promise<unknown> {
    return await this.#dialect.ask(client, ...command)
  }

  /** Runs one command of a face; again, where the driver would send it again after its connection was lost. */
  async run<R>(
    owner: FaceOwner,
    command: (client: DriverClient) => R | PromiseLike<R>,
    { again, ...options }: ExclusiveOptions & AcquireOptions,
  ): Promise<R> {
    for (let losses = 0; ;) {
      try {
        return await this.#once(owner, command, options)
      } catch (error) {
        if (!again || owner.ended || this.#host.isClosing || !this.#dialect.resends || !isConnectionLoss(error))
          throw error
        if (++losses > this.#dialect.maxRetries) throw new MaxRetriesPerRequestError(this.#dialect.maxRetries)
      }
    }
  }

  async #once<R>(
    owner: FaceOwner,
    command: (client: DriverClient) => R | PromiseLike<R>,
    options: AcquireOptions,
  ): Promise<R> {
    const lease = await this.#lease(owner, options)
    const client = lease.resource
    // A face that ends takes its blocking commands with it.
    const cut = (): void => {
      if (!lease.released) lease.destroy('the client was closed')
    }
    owner.signal.addEventListener('abort', cut, { once: true })
    this.#blocked.add(client)
    try {
      const result = await command(client)
      if (!lease.released) lease.release()
      return result
    } catch (error) {
      if (isReadOnly(error)) this.#host.readOnly(client)
      if (!lease.released) lease.release(error)
      else if (!owner.ended && !this.#host.isClosing) throw overError(lease, this.pool.name)
      throw error
    } finally {
      this.#blocked.delete(client)
      owner.signal.removeEventListener('abort', cut)
    }
  }

  async #lease(owner: FaceOwner, { signal, ...options }: AcquireOptions): Promise<Lease<DriverClient>> {
    try {
      const both = signal === undefined ? owner.signal : AbortSignal.any([owner.signal, signal])
      return await this.pool.acquire({ ...options, signal: both })
    } catch (error) {
      throw this.#errors.of(error)
    }
  }

  /** Runs the callback with a connection of its own, and gives the connection back as it was. */
  async use<R>(callback: (client: DriverClient) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
    const held = { now: false }
    try {
      return await this.pool.use(async (client, lease) => {
        held.now = true
        const loan = lend(client, lease, this.pool.name)
        try {
          return await callback(loan.leased)
        } catch (error) {
          if (isReadOnly(error)) this.#host.readOnly(client)
          throw error
        } finally {
          loan.finish()
        }
      }, options)
    } catch (error) {
      // The callback's own errors are its own.
      throw held.now ? error : this.#errors.of(error)
    }
  }
}
