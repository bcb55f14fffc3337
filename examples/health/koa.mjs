import Koa from 'koa'
import { healthHandler, toKoa } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'

/** Health and metrics as a middleware of Koa. */
export async function start(registry) {
  const app = new Koa()
  const health = toKoa(healthHandler(registry))
  const metrics = toKoa(metricsHandler(registry))
  app.use(async (context, next) => {
    if (context.path === '/metrics') await metrics(context)
    else if (context.path.startsWith('/health')) await health(context)
    else await next()
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => server.close(resolve)),
  }
}
