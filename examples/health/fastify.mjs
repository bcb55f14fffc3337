import Fastify from 'fastify'
import { healthHandler, toFastify } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'

/** Health and metrics as plugins of Fastify. */
export async function start(registry) {
  const app = Fastify()
  app.register(toFastify(healthHandler(registry)), { prefix: '/health' })
  app.register(toFastify(metricsHandler(registry), ['/metrics']))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, stop: () => app.close() }
}
