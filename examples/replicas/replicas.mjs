import pg from 'pg'
import { PoolRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

/**
 * @param config - user, password and database, the same on all servers
 * @param primary - `host:port` of the server that takes writes today
 * @param replica - `host:port` of the one that will take them after a failover
 */
export function openStore(config, { primary, replica }) {
  const registry = new PoolRegistry()
  const shared = { ...config, connectionTimeoutMillis: 10_000, failFastWhenDown: false }

  /** Wherever writes are taken: each new connection is asked, and one that finds itself read-only is left. */
  const writer = registry.register(
    pgPool(pg, { ...shared, name: 'writer', max: 5, hosts: [primary, replica], targetSessionAttrs: 'read-write' }),
    { required: true },
  )
  /** The replica while it is there, else whoever is. */
  const reader = registry.register(pgPool(pg, { ...shared, name: 'reader', max: 10, hosts: [replica, primary] }))

  return {
    registry,
    writer,
    reader,
    async place(item) {
      const { rows } = await writer.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item])
      return rows[0].id
    },
    /** May lag behind: a replica has what was written a moment ago, not what is being written. */
    async count() {
      const { rows } = await reader.query('SELECT count(*)::int AS orders FROM orders')
      return rows[0].orders
    },
    /** Who must see their own write asks where it was written. */
    async find(id) {
      const { rows } = await writer.query('SELECT id, item FROM orders WHERE id = $1', [id])
      return rows[0]
    },
  }
}
