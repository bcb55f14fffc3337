import { systemClock, type Clock } from '../core/clock.ts'

/** How often connections that have become idle are looked for, in milliseconds. */
const LOOK_MILLIS = 50

/** Minimum of Node's `http.Server`, which frameworks hand out: `app.listen()` of Express, `app.server` of Fastify. */
export interface StoppableServer {
  close(callback: (error?: Error) => void): unknown
  /** HTTP/2 servers have none: their sessions end by themselves. */
  closeIdleConnections?(): void
}

/**
 * Stops an HTTP server for the `before` of `closeOnSignals`: it takes no new connection, requests under way are
 * answered, and each connection ends as soon as it is idle. By itself `server.close()` waits for those that were at work
 * until their keep-alive is over, which is 5 s in Node and 72 s in Fastify. A framework's own `close()` may run beside it.
 */
export async function stopServer(
  server: StoppableServer,
  { clock = systemClock }: { clock?: Clock | undefined } = {},
): Promise<void> {
  let isClosed = false
  const closed = new Promise<void>((resolve) => {
    // Told of an error where somebody else has closed it already, which is as good.
    server.close(() => {
      isClosed = true
      resolve()
    })
  })
  const closeIdle = (): void => {
    if (isClosed) return
    server.closeIdleConnections?.()
    clock.setTimer(closeIdle, LOOK_MILLIS).unref()
  }
  closeIdle()
  await closed
}
