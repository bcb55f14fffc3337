import pg from 'pg'

/** A pool for each tenant, kept for ever: nothing bounds them together. */
export function openTenants(config) {
  const pools = new Map()
  const poolOf = (tenant) => {
    if (!pools.has(tenant)) pools.set(tenant, new pg.Pool({ ...config, database: tenant, max: 3 }))
    return pools.get(tenant)
  }
  return { pools, poolOf }
}
