import type { Pool } from '../../core/pool.ts'
import type { Dialect, DriverClient } from './driver.ts'

/** A changed role replaces the connections at most this often: a flapping server must not empty the pool again and again. */
const ROLE_CHANGE_MILLIS = 30_000

/**
 * A server that takes no writes was demoted in a failover. It is asked once more, and if it is a replica all
 * connections are opened anew: behind a name, a sentinel or a proxy there is a new master by now.
 */
export class RoleWatch {
  readonly #dialect: Pick<Dialect, 'ask'>
  readonly #pools: () => readonly Pool<DriverClient>[]
  #askedAt = -Infinity

  constructor(dialect: Pick<Dialect, 'ask'>, pools: () => readonly Pool<DriverClient>[]) {
    this.#dialect = dialect
    this.#pools = pools
  }

  /** A write over this connection was refused. */
  refused(client: DriverClient): void {
    const now = performance.now()
    if (now - this.#askedAt < ROLE_CHANGE_MILLIS) return
    this.#askedAt = now
    this.#dialect
      .ask(client, 'ROLE')
      .then((role) => {
        if (Array.isArray(role) && String(role[0]) === 'master') return
        for (const pool of this.#pools()) pool.invalidate({ reason: 'role-change' })
      })
      .catch(() => undefined)
  }
}
