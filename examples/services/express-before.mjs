// DATABASE_URL=postgres://… node examples/services/express-before.mjs
import express from 'express'
import { findOrder, placeOrder } from './pools-before.mjs'

const app = express()
app.get('/orders/:id', async (request, response) => response.json(await findOrder(request.params.id)))
app.post('/orders', express.json(), async (request, response) => {
  response.status(201).json({ id: await placeOrder(request.body) })
})

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
