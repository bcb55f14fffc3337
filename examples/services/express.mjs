// DATABASE_URL=postgres://… node examples/services/express.mjs
import express from 'express'
import { PoolError, stopServer } from 'millpond'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'
import { findOrder, placeOrder, registry } from './pools.mjs'

const app = express()
app.use('/health', toNodeHandler(healthHandler(registry)))
app.use('/metrics', toNodeHandler(metricsHandler(registry)))

app.get('/orders/:id', async (request, response) => {
  const order = await findOrder(request.params.id)
  if (order === undefined) response.status(404).json({ error: 'no such order' })
  else response.json(order)
})
app.post('/orders', express.json(), async (request, response) => {
  response.status(201).json({ id: await placeOrder(request.body) })
})

// Full, down or closing: the request may succeed later, and elsewhere.
app.use((error, request, response, next) => {
  if (PoolError.is(error)) response.status(503).set('retry-after', '1').json({ error: 'try again later' })
  else next(error)
})

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
registry.closeOnSignals({ before: () => stopServer(server) })
