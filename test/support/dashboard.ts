import type { Pool } from 'millpond'
import { Pool as EnginePool, PoolRegistry } from 'millpond'

/** A registry with pools of plain objects, which are quick to open and hold a secret. */
export class Pools {
  readonly registry = new PoolRegistry()
  readonly #working = new AbortController()
  readonly #workers: Promise<void>[] = []

  add(name: string, { max = 4, kind = 'thing', required = false } = {}): Pool<object> {
    const create = (): Promise<object> => Promise.resolve({ password: 'very-secret' })
    const pool = new EnginePool<object>({ kind, create, destroy: () => undefined }, { name, max, trackStacks: true })
    return this.registry.register(pool, { required })
  }

  /** Keeps a pool busy until {@link stop}. */
  work(pool: Pool<object>, clients = 3): void {
    const { signal } = this.#working
    for (let client = 0; client < clients; client++)
      this.#workers.push(
        (async () => {
          while (!signal.aborted) {
            await pool
              .use(() => new Promise((resolve) => setTimeout(resolve, 5)), { label: 'work' })
              .catch(() => undefined)
            await new Promise((resolve) => setTimeout(resolve, 5))
          }
        })(),
      )
  }

  async stop(): Promise<void> {
    this.#working.abort()
    await Promise.all(this.#workers)
    await this.registry.close({ timeoutMillis: 500 })
  }
}

/** The messages of a stream of server-sent events, one after the other. */
export async function* messagesOf(response: Response): AsyncGenerator<{ event: string; data: unknown }> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as unknown }
    }
  }
}
