import { fileURLToPath } from 'node:url'
import { removeFolder, tempFolder } from './child.ts'
import { NativeServer } from './native-server.ts'
import { findPython } from './python.ts'
import { freePort } from './wait.ts'

/**
 * A server of gRPC's C core, which most languages stand on, by its Python: it holds clients to its policy of pings, and
 * says goodbye (GOAWAY, `too_many_pings`) to who pings more than twice in five minutes. Of the rig's service it has
 * `Unary`, with `sleepMillis` and an empty answer.
 */
export async function startCoreGrpc(): Promise<NativeServer> {
  const python = findPython('grpc')
  const folder = tempFolder('core-grpc')
  try {
    const port = await freePort()
    const program = fileURLToPath(new URL('./core_grpc_server.py', import.meta.url))
    const server = new NativeServer(python, [program, String(port)], folder, port)
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
