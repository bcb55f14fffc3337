import { createServer } from 'node:http'
import connect from 'connect'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'

/** Health and metrics in Connect, and in whatever else takes its middleware. */
export async function start(registry) {
  const app = connect()
  app.use('/health', toNodeHandler(healthHandler(registry)))
  app.use('/metrics', toNodeHandler(metricsHandler(registry)))
  const server = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => server.close(resolve)),
  }
}
