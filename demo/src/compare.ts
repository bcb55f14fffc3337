import pg from 'pg'
import { sleep, type ServerView } from '@millpond/rig'
import { Load, Tally } from './load.ts'
import { SCHEMA, type OrdersPool } from './pools.ts'
import { Service } from './service.ts'
import { plainShop, type Shop } from './shop.ts'

/** Clients of the comparison; more would run into the server's own limit without a pool. */
const CLIENTS = 20

/** The way that a pool replaces: a connection for every request. */
function connectionPerRequest(connectionString: string): Shop {
  const connected = async <R>(work: (client: pg.Client) => Promise<R>): Promise<R> => {
    const client = new pg.Client({
      connectionString,
      options: `-c search_path=${SCHEMA}`,
      application_name: 'millpond-demo',
    })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  return plainShop({
    query: (text, values) => connected((client) => client.query(text, [...values])),
    transaction: (work) =>
      connected(async (client) => {
        await client.query('BEGIN')
        try {
          const result = await work(client)
          await client.query('COMMIT')
          return result
        } catch (error) {
          await client.query('ROLLBACK')
          throw error
        }
      }),
  })
}

function pooled(orders: OrdersPool): Shop {
  return plainShop({
    query: (text, values) => orders.query(text, [...values]),
    transaction: (work) => orders.transaction(work),
  })
}

/** The same requests to the database alone, with the pool and with a connection per request, one after the other. */
export async function compare(
  seconds: number,
  orders: OrdersPool,
  url: string,
  view: ServerView | undefined,
): Promise<void> {
  console.log(`\nThe database alone, ${CLIENTS} clients for ${seconds.toFixed(1)} s each:\n`)
  console.log(
    `  ${''.padEnd(26)}${['req/s', 'p50 ms', 'p99 ms', 'errors', 'logins'].map((head) => head.padStart(9)).join('')}`,
  )
  const measured: number[] = []
  for (const [name, shop] of [
    ['with the pool', pooled(orders)],
    ['a connection per request', connectionPerRequest(url)],
  ] as const) {
    const service = new Service(shop)
    const tally = new Tally()
    const load = new Load(await service.listen(0), tally)
    view?.markLogins()
    load.set(CLIENTS, 0)
    await sleep(seconds * 1_000)
    await load.stop()
    await service.close()
    await sleep(100)
    const { p50, p99 } = tally.overall()
    const rate = (tally.requests - tally.errors) / seconds
    measured.push(rate)
    const cells = [
      rate.toFixed(0),
      p50.toFixed(1),
      p99.toFixed(1),
      String(tally.errors),
      view === undefined ? '–' : String(view.logins()),
    ]
    console.log(`  ${name.padEnd(26)}${cells.map((cell) => cell.padStart(9)).join('')}`)
  }
  const [withPool = 0, without = 0] = measured
  if (without > 0) console.log(`\n  ${(withPool / without).toFixed(1)} times as much work with the pool.`)
}
