import type { ClientBase, QueryResult } from 'pg'
import { SCHEMA, type OrdersPool, type Pools } from './pools.ts'

export const USERS = 1_000
/** How long a user stays in the cache. */
const CACHE_SECONDS = 5
/** What an order costs where the price service does not answer. */
const LIST_PRICE = 10

export interface Order {
  readonly userId: number
  readonly total: number
}

/** What the routes do; so that the same routes also run without a pool. */
export interface Shop {
  /** @returns undefined where there is no such user */
  user(id: number): Promise<unknown>
  order(order: Order): Promise<unknown>
}

/** What an order needs of the database. */
interface Database {
  query(text: string, values: readonly unknown[]): Promise<QueryResult>
  transaction<R>(work: (client: ClientBase) => Promise<R>): Promise<R>
}

export async function makeTables(orders: OrdersPool): Promise<void> {
  await orders.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA}`)
  await orders.query(`
    CREATE TABLE ${SCHEMA}.users (id int PRIMARY KEY, name text NOT NULL, orders int NOT NULL DEFAULT 0);
    CREATE TABLE ${SCHEMA}.orders (id bigserial PRIMARY KEY, user_id int NOT NULL REFERENCES ${SCHEMA}.users, total numeric NOT NULL CHECK (total > 0));
    INSERT INTO ${SCHEMA}.users (id, name) SELECT n, 'user ' || n FROM generate_series(1, ${USERS}) AS n;`)
}

async function findUser(database: Database, id: number): Promise<object | undefined> {
  const { rows } = await database.query('SELECT id, name, orders FROM users WHERE id = $1', [id])
  return rows[0] as object | undefined
}

async function writeOrder(database: Database, { userId, total }: Order): Promise<{ id: string }> {
  return await database.transaction(async (client) => {
    const { rows } = await client.query('INSERT INTO orders (user_id, total) VALUES ($1, $2) RETURNING id', [
      userId,
      total,
    ])
    await client.query('UPDATE users SET orders = orders + 1 WHERE id = $1', [userId])
    return rows[0] as { id: string }
  })
}

/** The database alone, through whatever connects to it. */
export function plainShop(database: Database): Shop {
  return { user: (id) => findUser(database, id), order: (order) => writeOrder(database, order) }
}

/**
 * The whole shop: users through the cache, prices from a service that may be away, quotes from a carrier, orders in one
 * database and in the ledger of another, events for whoever reads them later.
 */
export class PooledShop implements Shop {
  readonly #pools: Pools
  readonly #ordersDatabase: Database
  /** How often an order did without what was away. */
  withoutPrice = 0

  constructor(pools: Pools) {
    this.#pools = pools
    const { orders } = pools
    this.#ordersDatabase = {
      query: (text, values) => orders.query(text, [...values]),
      transaction: (work) => orders.transaction(work),
    }
  }

  async prepare(): Promise<void> {
    const { orders, ledger } = this.#pools
    await orders.ready({ timeoutMillis: 10_000 })
    await makeTables(orders)
    await ledger?.query(
      'CREATE TABLE IF NOT EXISTS ledger (order_id bigint PRIMARY KEY, user_id int NOT NULL, amount decimal(10, 2) NOT NULL)',
    )
  }

  async user(id: number): Promise<unknown> {
    const { cache } = this.#pools
    const key = `user:${id}`
    const cached = await cache?.client.get(key)
    if (cached) return JSON.parse(cached) as unknown
    const user = await findUser(this.#ordersDatabase, id)
    if (user !== undefined) await cache?.client.set(key, JSON.stringify(user), 'EX', CACHE_SECONDS)
    return user
  }

  async order(order: Order): Promise<unknown> {
    const [price, quote] = await Promise.all([this.#price(order), this.#quote(order)])
    const { id } = await writeOrder(this.#ordersDatabase, { ...order, total: order.total * price })
    await Promise.all([this.#book(id, order), this.#tell({ type: 'ordered', id, user: order.userId })])
    return { id, quote }
  }

  /** A price that cannot be had is no reason to lose an order. */
  async #price({ userId }: Order): Promise<number> {
    try {
      const answer = await this.#pools.catalogue?.request(`/prices/${userId}`)
      await answer?.body.dump()
      if (answer?.statusCode === 200) return 1
    } catch {
      // Away, too slow, or the circuit is open.
    }
    this.withoutPrice++
    return LIST_PRICE
  }

  async #quote({ userId }: Order): Promise<string | undefined> {
    const parcel = { text: `parcel for ${userId}` }
    return (await this.#pools.carrier?.promises.unary(parcel, { timeoutMillis: 2_000 }))?.text
  }

  async #book(id: string, { userId, total }: Order): Promise<void> {
    const { ledger } = this.#pools
    if (ledger === undefined) return
    const connection = await ledger.getConnection()
    try {
      await connection.beginTransaction()
      await connection.execute('INSERT INTO ledger (order_id, user_id, amount) VALUES (?, ?, ?)', [id, userId, total])
      await connection.commit()
    } catch (error) {
      await connection.rollback()
      throw error
    } finally {
      connection.release()
    }
  }

  async #tell(event: object): Promise<void> {
    await this.#pools.events?.db('shop').collection('events').insertOne(event)
  }
}
