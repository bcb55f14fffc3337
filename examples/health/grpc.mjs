import { Server, ServerCredentials } from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import { followGrpcHealth } from 'millpond/health'

/** `grpc.health.v1` for a server whose work needs the pools; a change shows within `everyMillis`. */
export async function start(registry, everyMillis = 5_000) {
  const health = new HealthImplementation()
  const end = await followGrpcHealth(registry, health, { services: ['', 'shop.Orders'], everyMillis })
  const server = new Server()
  health.addToServer(server)
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return {
    url: `127.0.0.1:${port}`,
    stop: () => {
      end()
      server.forceShutdown()
    },
  }
}
