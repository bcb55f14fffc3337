import { Redis } from 'ioredis'
import { redisPool } from '../../src/adapters/redis/redis-pool.ts'

// Sends in the same tick in which the process ends, and while it does.
const [, , port] = process.argv
const pool = redisPool(Redis, { host: '127.0.0.1', port: Number(port) })
await pool.ready()
process.on('exit', () => {
  void pool.client.set('at the end', 'sent')
})
void pool.client.set('before the end', 'sent')
process.exit(0)
