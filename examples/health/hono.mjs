import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { healthHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'

/** Health and metrics in Hono, which takes the handlers as they are; so do Bun, Deno and Next.js. */
export async function start(registry) {
  const app = new Hono()
  const health = healthHandler(registry)
  const metrics = metricsHandler(registry)
  app.get('/health/*', (context) => health(context.req.raw))
  app.get('/metrics', (context) => metrics(context.req.raw))
  let server
  const { port } = await new Promise((resolve) => {
    server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, resolve)
  })
  return { url: `http://127.0.0.1:${port}`, stop: () => new Promise((resolve) => server.close(resolve)) }
}
