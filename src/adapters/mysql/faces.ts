import {
  knexShape,
  sequelizeShape,
  type KnexShape,
  type SequelizeShape,
  type ShapedPool,
} from '../../core/library-shapes.ts'
import type { Pool } from '../../core/pool.ts'
import type { LeasedConnection } from './leased-connection.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** A pool of `mysqlPool`, in either face, as far as the faces for other libraries need it. */
interface FacedPool {
  readonly core: Pool<PooledConnection>
  readonly pool?: unknown
  close(): Promise<unknown>
}

type CallbackFace = { getConnection(callback: (error: unknown, connection: LeasedConnection) => void): void }

/** What the libraries want are callbacks: below a promise face is one. */
function shaped(pool: FacedPool): ShapedPool<LeasedConnection> {
  const callbacks = (pool.pool ?? pool) as CallbackFace
  return {
    stats: () => pool.core.stats(),
    close: () => pool.close(),
    take: () =>
      new Promise((resolve, reject) => {
        callbacks.getConnection((error, connection) => {
          if (error) reject(error)
          else resolve(connection)
        })
      }),
    giveBack(connection, how) {
      connection[how]()
    },
  }
}

/** For Knex: `knex({ client: 'mysql2', connectionPool: knexPool(pool) })`. */
export function knexPool(pool: FacedPool): KnexShape<LeasedConnection> {
  return knexShape(shaped(pool))
}

/** For Sequelize 6: `sequelize.connectionManager.pool = sequelizePool(pool)`. */
export function sequelizePool(pool: FacedPool): SequelizeShape<LeasedConnection> {
  return sequelizeShape(shaped(pool))
}
