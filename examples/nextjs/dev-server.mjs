// DATABASE_URL=postgres://… node examples/nextjs/dev-server.mjs
// What the development server of Next.js does to a module on every save: evaluates it again, in the same process.
const RELOADS = 8

async function develop(file, edit = () => undefined) {
  const pools = new Set()
  for (let save = 0; save < RELOADS; save++) {
    edit(save)
    const { orders } = await import(`${file}?save=${save}`)
    await orders.query('SELECT 1')
    pools.add(orders)
  }
  return {
    pools: pools.size,
    open: await openConnections([...pools]),
    end: () => Promise.all([...pools].map((pool) => pool.ending || pool.end())),
  }
}

/** What the server says; it may need a moment to notice that a pool was closed. */
async function openConnections(pools) {
  const expected = pools.filter((pool) => !pool.ending).length
  for (let left = 100; ; left--) {
    const { rows } = await pools
      .at(-1)
      .query(
        "SELECT count(*)::int AS open FROM pg_stat_activity WHERE application_name = current_setting('application_name')",
      )
    if (rows[0].open === expected || left === 0) return rows[0].open
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

process.env.PGAPPNAME = 'before'
const before = await develop('./db-before.mjs')
process.env.PGAPPNAME = 'after'
const after = await develop('./db.mjs')
process.env.PGAPPNAME = 'edited'
// Somebody edits the size half-way: from then on there is a new pool, and the old one is closed.
const edited = await develop('./db.mjs?edited', (save) => {
  process.env.ORDERS_POOL_MAX = save < RELOADS / 2 ? '6' : '7'
})
const listeners = process.listenerCount('SIGTERM')
await Promise.all([before.end(), after.end(), edited.end()])
console.log(
  JSON.stringify({
    reloads: RELOADS,
    before: { pools: before.pools, open: before.open },
    after: { pools: after.pools, open: after.open },
    edited: { pools: edited.pools, open: edited.open },
    listeners,
  }),
)
