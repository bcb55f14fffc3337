import type { Place } from './driver.ts'

/** What is touched of a connection to a sentinel: a client of node-redis. */
interface SentinelClient {
  readonly isOpen: boolean
  on(event: 'error', listener: () => void): unknown
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: readonly string[]): Promise<unknown>
}

type CreateClient = (options: never) => SentinelClient

/** A sentinel is asked no longer than this: the next one may know. */
const ASK_MILLIS = 2_000

/**
 * Finds the master that sentinels watch. `createClient` of node-redis knows none, so each connection is opened where
 * they say that the master is now. How to ask them: https://redis.io/docs/latest/develop/reference/sentinel-clients/
 */
export class Sentinels {
  readonly #createClient: CreateClient
  readonly #name: string
  readonly #nodes: Place[]
  readonly #options: { readonly socket?: object }

  constructor(createClient: CreateClient, name: string, nodes: readonly Place[], options: object | undefined) {
    this.#createClient = createClient
    this.#name = name
    this.#nodes = [...nodes]
    this.#options = { ...options }
  }

  /** @throws {Error} where no sentinel tells of the master */
  async master(signal: AbortSignal): Promise<Place> {
    let lastError: unknown
    let answers = 0
    for (const node of [...this.#nodes]) {
      signal.throwIfAborted()
      try {
        const place = await this.#ask(node)
        answers++
        if (place === undefined) continue
        // Who answered is asked first the next time.
        this.#nodes.splice(this.#nodes.indexOf(node), 1)
        this.#nodes.unshift(node)
        return place
      } catch (error) {
        lastError = error
      }
    }
    if (answers > 0) throw new Error(`No sentinel knows a master "${this.#name}"`)
    throw new Error('All sentinels are unreachable', { cause: lastError })
  }

  async #ask({ host, port }: Place): Promise<Place | undefined> {
    const socket = { ...this.#options.socket, host, port, connectTimeout: ASK_MILLIS, reconnectStrategy: false }
    const sentinel = this.#createClient({ ...this.#options, socket } as never)
    sentinel.on('error', () => undefined)
    const timer = setTimeout(() => {
      if (sentinel.isOpen) sentinel.destroy()
    }, ASK_MILLIS)
    try {
      await sentinel.connect()
      const reply = await sentinel.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#name])
      return Array.isArray(reply) ? { host: String(reply[0]), port: Number(reply[1]) } : undefined
    } finally {
      clearTimeout(timer)
      if (sentinel.isOpen) sentinel.destroy()
    }
  }
}
