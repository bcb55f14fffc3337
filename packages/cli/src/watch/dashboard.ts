import type { PoolView, Tick } from 'millpond/dashboard'
import type { PoolSample, Scrape } from './scrape.ts'

/** The protocol that is spoken here, as the dashboard names it. */
const PROTOCOL = 1

interface Message {
  readonly event: string
  readonly data: unknown
}

/** The messages of `text/event-stream`, one after the other. */
export async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as unknown }
    }
  }
}

/** The pools of a message, those of other processes with the name of theirs before them. */
export function scrapeOf({ at, instances, pools }: Tick): Scrape {
  const isAlone = instances.length < 2
  return { at, pools: pools.map((view) => sampleOf(view, isAlone ? '' : `${view.instance} `)) }
}

/** JSON has no Infinity: what is unlimited comes with null. */
const limitOf = (max: number | null): number | undefined => max ?? undefined

function sampleOf({ stats, recent }: PoolView, before: string): PoolSample {
  const { state, refused, aborted, failed } = stats
  const p99 = recent.wait.p99
  return {
    pool: before + stats.name,
    kind: stats.kind,
    up: state === 'open' || state === 'suspended',
    idle: stats.idle,
    used: stats.used,
    creating: stats.creating,
    max: limitOf(stats.max),
    waiting: stats.waiting,
    oldestWaiterSeconds: stats.oldestWaiterMillis / 1_000,
    acquired: stats.acquired,
    timedOut: stats.timedOut,
    otherwiseLost: refused + aborted + failed,
    created: stats.created,
    waitBuckets: [],
    waitP99Seconds: p99 === null ? undefined : p99 / 1_000,
  }
}

/** Follows a dashboard: what it last said is there at once, what it says next is waited for. */
export class DashboardStream {
  readonly #gone = new AbortController()
  #latest: Scrape | undefined
  #failure: Error | undefined
  #wake = (): void => undefined

  constructor(url: string, response: Response) {
    void this.#read(url, response)
  }

  async #read(url: string, { body }: Response): Promise<void> {
    try {
      for await (const { event, data } of messagesOf(body as ReadableStream<Uint8Array>)) {
        if (this.#gone.signal.aborted) return
        const { protocol = PROTOCOL } = data as { readonly protocol?: number }
        if (protocol !== PROTOCOL) throw new Error(`${url} speaks another version of the dashboard`)
        if (event === 'hello' || event === 'tick') this.#latest = scrapeOf(data as Tick)
        this.#wake()
      }
      throw new Error(`${url} has ended its stream`)
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Nothing more is expected of it. */
  fail(error: Error): void {
    this.#failure = error
    this.#wake()
  }

  /** The latest that was not given yet. @throws once the stream has failed */
  async next(): Promise<Scrape> {
    for (;;) {
      const scrape = this.#latest
      this.#latest = undefined
      if (scrape !== undefined) return scrape
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#gone.abort()
  }
}
