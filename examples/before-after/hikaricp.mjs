import pg from 'pg'
import { pgPool } from 'millpond/pg'

/** What `HikariConfig` says, in the words of `pgPool`. */
export const openAccounts = (config) =>
  pgPool(pg, {
    ...config, // jdbcUrl, username, password
    name: 'accounts', // poolName
    max: 10, // maximumPoolSize
    minIdle: 2, // minimumIdle
    connectionTimeoutMillis: 3_000, // connectionTimeout
    idleTimeoutMillis: 600_000, // idleTimeout
    maxLifetimeMillis: 1_800_000, // maxLifetime
    leakThresholdMillis: 10_000, // leakDetectionThreshold
  })

/** What `setAutoCommit(false)`, `commit()` and `rollback()` do there, in one word. */
export async function transfer(accounts, from, to, amount) {
  await accounts.transaction(async (client) => {
    await client.query('UPDATE accounts SET balance = balance - $1 WHERE name = $2', [amount, from])
    const { rowCount } = await client.query('UPDATE accounts SET balance = balance + $1 WHERE name = $2', [amount, to])
    if (rowCount !== 1) throw new Error(`there is no account of ${to}`)
  })
}
