import type * as undici from 'undici'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startFaultProxy, startHttp, waitFor, type FaultProxy, type HttpServer } from '@millpond/rig'
import type { HttpConnection, HttpPool } from 'millpond/http'
import { poolContract, viewContract } from 'millpond/testing'
import { get, httpPoolOn, type Undici } from '../support/http.ts'

let server: HttpServer
let proxy: FaultProxy
beforeAll(async () => {
  server = await startHttp()
  proxy = await startFaultProxy(server)
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

const make = (port = proxy.port): HttpPool<Undici> => httpPoolOn({ origin: `http://127.0.0.1:${port}` }, { max: 2 })

poolContract<HttpConnection>(
  'httpPool',
  { describe, it },
  {
    make: () => make().connections(),
    work: async (connection) => {
      const client = connection.client as unknown as undici.Client
      const { body } = await client.request({ path: '/echo', method: 'GET' })
      await body.dump()
    },
    kill: async (connection) => {
      proxy.cutAll('reset')
      await waitFor(() => !connection.usable, { what: 'the client has noticed' })
    },
  },
)

viewContract(
  'httpPool',
  { describe, it },
  {
    make: () => make(),
    makeBroken: () => make(1),
    touch: async (pool) => {
      const headers = { authorization: 'Bearer the-contract-password' }
      await get(pool, '/echo?token=the-contract-password', { headers })
    },
    exhaust: async (pool) => {
      const held = await Promise.all([pool.request('/stall'), pool.request('/stall')])
      return async () => {
        for (const { body } of held) body.destroy()
        await waitFor(() => pool.stats().used === 0, { what: 'both connections are given back' })
      }
    },
    secrets: ['the-contract-password'],
  },
)
