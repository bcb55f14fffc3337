import { afterAll, beforeAll, describe, it } from 'vitest'
import { startFaultProxy, startGrpc, waitFor, type FaultProxy, type GrpcServer } from '@millpond/rig'
import { poolContract, viewContract } from 'millpond/testing'
import type { GrpcChannel, GrpcPool } from 'millpond/grpc'
import { poolOn, type EchoClient } from '../support/grpc.ts'

let server: GrpcServer
let proxy: FaultProxy
beforeAll(async () => {
  server = await startGrpc()
  proxy = await startFaultProxy(server)
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

const make = (port = proxy.port): GrpcPool<EchoClient> =>
  poolOn(
    { target: `127.0.0.1:${port}` },
    { max: 2, streamsPerChannel: 1, 'grpc.http_connect_creds': 'user:the-contract-password' },
  )

poolContract<GrpcChannel<EchoClient>>(
  'grpcPool',
  { describe, it },
  {
    make: () => make().core,
    work: async (channel) => {
      // The driver would connect a channel anew; the pool gives another one.
      if (!channel.isReady) throw new Error('the connection is gone')
      await new Promise<void>((resolve, reject) => {
        channel.client.unary({}, (error) => {
          if (error === null) resolve()
          else reject(error)
        })
      })
    },
    kill: async (channel) => {
      proxy.cutAll('reset')
      await waitFor(() => !channel.isReady, { what: 'the client has noticed' })
    },
  },
)

viewContract(
  'grpcPool',
  { describe, it },
  {
    make: () => make(),
    makeBroken: () => make(1),
    touch: async (pool) => {
      await pool.promises.unary({})
    },
    exhaust: async (pool) => {
      const leases = [await pool.core.acquire(), await pool.core.acquire()]
      return () => {
        for (const lease of leases) lease.release()
      }
    },
    secrets: ['the-contract-password'],
  },
)
