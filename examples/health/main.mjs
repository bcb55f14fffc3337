// node --import tsx examples/health/main.mjs express|connect|fastify|koa|hono|nest|grpc
import { Pool, PoolRegistry } from 'millpond'

const name = process.argv[2] ?? 'express'
const registry = new PoolRegistry()
registry.register(new Pool({ kind: 'example', create: async () => ({}), destroy: () => undefined }), { required: true })
const { start } = await import(`./${name}.mjs`)
const { url } = await start(registry)
console.log(`${url}/health/ready, ${url}/health/live, ${url}/metrics`)
