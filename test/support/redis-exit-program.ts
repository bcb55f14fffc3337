import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { redisPool } from '../../src/adapters/redis/redis-pool.ts'

// Uses every lane, says goodbye by the driver's own name for it, and nothing that ends the process.
const [, , driver, port] = process.argv
const socket = { host: '127.0.0.1', port: Number(port) }
if (driver === 'ioredis') {
  const pool = redisPool(Redis, socket)
  await pool.client.set('k', 'v')
  await pool.use((client) => client.watch('k'))
  await pool.client.subscribe('news')
  console.log(await pool.client.get('k'))
  await pool.client.quit()
} else {
  const pool = redisPool(createClient, { socket })
  await pool.client.set('k', 'v')
  await pool.use((client) => client.watch('k'))
  await pool.client.subscribe('news', () => undefined)
  console.log(await pool.client.get('k'))
  await pool.client.close()
}
