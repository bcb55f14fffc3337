import { MariaDbView, ServerView, startMariaDb, startPostgres } from '@millpond/rig'

/** A server of its own for every run, so that nothing of the last one is left. */
export interface Backend extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  /** What its driver needs to connect. */
  readonly config: Readonly<Record<string, unknown>>
  kill(): Promise<void>
  start(): Promise<void>
  pause(): void
  resume(): void
  terminateOne(): Promise<void>
}

/** @param granted - how many connections it grants besides the view's own; `Infinity` for its default */
export type StartBackend = (granted: number) => Promise<Backend>

const limit = (granted: number): Record<string, number> =>
  granted === Infinity ? {} : { max_connections: granted + 1 }

export const startPostgresBackend: StartBackend = async (granted) => {
  const server = await startPostgres({ settings: { superuser_reserved_connections: 0, ...limit(granted) } })
  const view = new ServerView(server)
  // Its own connection comes first, where connections are few.
  await view.count()
  return {
    ...lifeOf(server),
    async terminateOne() {
      const [first] = await view.backends()
      if (first !== undefined) await view.terminate(first.pid)
    },
    async [Symbol.asyncDispose]() {
      await view.close()
      await server.stop()
    },
  }
}

export const startMariaDbBackend: StartBackend = async (granted) => {
  const server = await startMariaDb({ settings: limit(granted) })
  const view = new MariaDbView(server)
  await view.count()
  return {
    ...lifeOf(server),
    async terminateOne() {
      const [first] = await view.threads()
      if (first !== undefined) await view.terminate(first.id)
    },
    async [Symbol.asyncDispose]() {
      await view.close()
      await server.stop()
    },
  }
}

type Server = Awaited<ReturnType<typeof startPostgres | typeof startMariaDb>>

function lifeOf(server: Server): Omit<Backend, 'terminateOne' | keyof AsyncDisposable> {
  const { host, port, config } = server
  return {
    address: { host, port },
    config,
    kill: () => server.kill(),
    start: () => server.start(),
    pause: () => server.pause(),
    resume: () => server.resume(),
  }
}
