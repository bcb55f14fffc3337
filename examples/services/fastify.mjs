// DATABASE_URL=postgres://… node examples/services/fastify.mjs
import Fastify from 'fastify'
import { PoolError, stopServer } from 'millpond'
import { healthHandler, toFastify } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'
import { findOrder, placeOrder, registry } from './pools.mjs'

const app = Fastify()
app.register(toFastify(healthHandler(registry)), { prefix: '/health' })
app.register(toFastify(metricsHandler(registry), ['/metrics']))
app.addHook('onClose', () => registry.close()) // also for tests that only call app.close()

app.get('/orders/:id', async (request, reply) => {
  return (await findOrder(request.params.id)) ?? reply.code(404).send({ error: 'no such order' })
})
app.post('/orders', async (request, reply) => {
  return reply.code(201).send({ id: await placeOrder(request.body) })
})

app.setErrorHandler((error, request, reply) => {
  if (PoolError.is(error)) reply.code(503).header('retry-after', '1').send({ error: 'try again later' })
  else reply.send(error)
})

console.log(await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) }))
registry.closeOnSignals({ before: () => Promise.all([app.close(), stopServer(app.server)]) })
