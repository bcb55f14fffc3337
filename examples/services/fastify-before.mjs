// DATABASE_URL=postgres://… node examples/services/fastify-before.mjs
import Fastify from 'fastify'
import { findOrder, placeOrder } from './pools-before.mjs'

const app = Fastify()
app.get('/orders/:id', (request) => findOrder(request.params.id))
app.post('/orders', async (request, reply) => reply.code(201).send({ id: await placeOrder(request.body) }))

console.log(await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) }))
