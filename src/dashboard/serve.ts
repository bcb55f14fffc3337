import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OptionError } from '../core/errors.ts'
import { toNodeHandler } from '../health/node-handler.ts'
import { dashboard, type Watchable } from './dashboard.ts'
import type { DashboardOptions } from './options.ts'

export interface ServeOptions extends DashboardOptions {
  /** 0: any that is free. @defaultValue 0 */
  port?: number | undefined
  /** The address to listen on. Others than the loopback ones need `hosts` and `authorize` too. @defaultValue '127.0.0.1' */
  host?: string | undefined
}

export interface ServedDashboard {
  /** Where the page is. */
  readonly url: string
  close(): Promise<void>
}

/**
 * The dashboard on a server of its own. It keeps no process alive.
 * @throws {OptionError} on a wrong option; rejects with Node's error where the port is taken
 */
export async function serveDashboard(
  registry: Watchable,
  { port = 0, host = '127.0.0.1', ...options }: ServeOptions = {},
): Promise<ServedDashboard> {
  // Whoever is not a browser says any name in its `Host` header.
  if (!/^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host) && options.authorize === undefined)
    throw new OptionError(
      'dashboard',
      'authorize',
      `With \`host\` ${host} others can reach the dashboard: give \`authorize\`, which decides who may look`,
    )
  const handler = dashboard(registry, options)
  const server = createServer(toNodeHandler(handler)).unref()
  server.on('connection', (socket) => socket.unref())
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  } catch (error) {
    // It looks at the pools from its first breath.
    handler.close()
    throw error
  }
  const { port: taken } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/`,
    async close() {
      handler.close()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}
