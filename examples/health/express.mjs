import express from 'express'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'

/** Health and metrics in Express. */
export async function start(registry) {
  const app = express()
  app.use('/health', toNodeHandler(healthHandler(registry)))
  app.use('/metrics', toNodeHandler(metricsHandler(registry)))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => server.close(resolve)),
  }
}
