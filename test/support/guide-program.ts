import type { ManagedPool } from '../../src/core/managed-pool.ts'
import { PoolRegistry } from '../../src/registry/registry.ts'

/** A service as everybody writes it; what is `ours` changes is the line that makes its connections. */
interface Service {
  work(): Promise<unknown>
  /** What takes its time. */
  workLong(): Promise<unknown>
  close(): Promise<unknown>
  /** Where it is ours. */
  readonly pool: ManagedPool | undefined
}

const SERVICES: Readonly<Record<string, (url: string, isOurs: boolean) => Promise<Service>>> = {
  mysql: async (url, isOurs) => {
    const { default: mysql } = await import('mysql2/promise')
    const { mysqlPool } = await import('../../src/adapters/mysql/index.ts')
    const options = { uri: url, connectionLimit: 20, waitForConnections: true, queueLimit: 0, connectTimeout: 10_000 }
    const ours = isOurs ? mysqlPool(mysql, options) : undefined
    const pool = ours ?? mysql.createPool(options)
    return {
      work: async () => (await pool.execute('SELECT ? AS answer', ['right']))[0],
      workLong: () => pool.query('SELECT SLEEP(0.3)'),
      close: () => pool.end(),
      pool: ours,
    }
  },

  redis: async (url, isOurs) => {
    const { Redis } = await import('ioredis')
    const { redisPool } = await import('../../src/adapters/redis/index.ts')
    const { hostname: host, port } = new URL(url)
    const options = { host, port: Number(port), maxRetriesPerRequest: 3, connectTimeout: 10_000, keepAlive: 30_000 }
    const ours = isOurs ? redisPool(Redis, options) : undefined
    const redis = ours?.client ?? new Redis(options)
    return {
      work: async () => {
        await redis.setex('answer', 60, 'right')
        return await redis.get('answer')
      },
      workLong: () => redis.blpop('nothing', 0.3),
      close: () => redis.quit(),
      pool: ours,
    }
  },

  mongoose: async (url, isOurs) => {
    const { default: mongoose } = await import('mongoose')
    const { mongoOptions, observeMongo } = await import('../../src/adapters/mongodb/index.ts')
    const options = { maxPoolSize: 20, minPoolSize: 2, maxIdleTimeMS: 30_000, serverSelectionTimeoutMS: 10_000 }
    mongoose.connection.on('error', (error: Error) => console.log(`error ${error.name}`))
    await mongoose.connect(url, isOurs ? mongoOptions(options) : options)
    const { connection } = mongoose
    const Answer = mongoose.model('Answer', new mongoose.Schema({ text: String }))
    return {
      work: async () => {
        const { _id } = await Answer.create({ text: 'right' })
        return (await Answer.findById(_id).lean())?.text
      },
      workLong: () => connection.getClient().db('admin').command({ sleep: 1, millis: 300 }),
      close: () => connection.close(),
      pool: isOurs ? observeMongo(mongoose) : undefined,
    }
  },
}

// Told which service and how: `driver`, `ours`, or `registry`, where the registry does what signals ask for.
const [, , name = '', how = '', url = ''] = process.argv
const service = await SERVICES[name]?.(url, how !== 'driver')
if (service === undefined) throw new Error(`there is no ${name}`)
if (how === 'registry' && service.pool !== undefined) {
  const registry = new PoolRegistry()
  registry.register(service.pool, { required: true })
  registry.closeOnSignals()
} else {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void service.close().then(() => process.exit(0)))
}
console.log(JSON.stringify(await service.work()))
if (how === 'registry') void service.workLong().then(() => console.log('what ran has ended'))
setInterval(() => undefined, 1_000)
console.log('ready')
