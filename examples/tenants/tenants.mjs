import pg from 'pg'
import { PoolGroup, PoolRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

/** A database for each tenant. A pool is made when a tenant is first asked for, and closed when nobody asks any more. */
export function openTenants(config) {
  const registry = new PoolRegistry()
  const tenants = registry.register(
    new PoolGroup(
      {
        name: 'tenants',
        maxTotal: 9, // connections of all tenants together: the share of this process of the server's limit
        maxPools: 3, // whoever was asked for longest ago, and is not in use, makes room
        idlePoolMillis: 60_000,
      },
      (tenant) => pgPool(pg, { ...config, name: `tenant ${tenant}`, database: tenant, max: 3 }),
    ),
  )

  /** Ask for the pool every time: one that is kept may have been closed to make room. */
  async function ordersOf(tenant) {
    // What names a database must never be whatever a request says.
    if (!/^tenant_[a-z0-9]+$/.test(tenant)) throw new Error('no such tenant')
    const { rows } = await tenants.get(tenant).query('SELECT current_database() AS database, item FROM orders')
    return rows
  }

  return { registry, tenants, ordersOf }
}
