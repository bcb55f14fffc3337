import pg from 'pg'

// One pool for each evaluation of this module: the development server evaluates it again on every save.
export const orders = new pg.Pool({ max: 5, connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 0 })
orders.on('error', () => undefined)
