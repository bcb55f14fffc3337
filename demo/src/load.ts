import { Agent, request } from 'node:http'
import { USERS } from './shop.ts'

/** What the load has seen, since the last look and in all. */
export class Tally {
  readonly #times: number[] = []
  readonly #recent: number[] = []
  requests = 0
  errors = 0
  readonly errorsByKind = new Map<string, number>()
  longestMillis = 0

  note(millis: number, error: string | undefined): void {
    this.requests++
    if (error === undefined) {
      this.#times.push(millis)
      this.#recent.push(millis)
      if (millis > this.longestMillis) this.longestMillis = millis
    } else {
      this.errors++
      this.errorsByKind.set(error, (this.errorsByKind.get(error) ?? 0) + 1)
    }
  }

  /** Since the last call. */
  takeRecent(): { count: number; p50: number; p99: number } {
    const sorted = this.#recent.splice(0).sort((a, b) => a - b)
    return { count: sorted.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
  }

  overall(): { p50: number; p99: number } {
    const sorted = [...this.#times].sort((a, b) => a - b)
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

/** Clients that ask the service over HTTP, each one thing after the other: four look-ups to one order. */
export class Load {
  readonly #base: URL
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 })
  readonly #tally: Tally
  #clients = 0
  #wanted = 0
  #pauseMillis = 0
  readonly #running = new Set<Promise<void>>()

  constructor(url: string, tally: Tally) {
    this.#base = new URL(url)
    this.#tally = tally
  }

  /** @param pauseMillis - how long each client rests between two requests */
  set(clients: number, pauseMillis: number): void {
    this.#wanted = clients
    this.#pauseMillis = pauseMillis
    while (this.#clients < clients) {
      const running: Promise<void> = this.#client(this.#clients++).finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
  }

  async stop(): Promise<void> {
    this.#wanted = 0
    await Promise.all(this.#running)
    this.#agent.destroy()
  }

  async #client(number: number): Promise<void> {
    for (let round = number; ; round++) {
      if (this.#clients > this.#wanted) {
        this.#clients--
        return
      }
      const startedAt = performance.now()
      const error = await this.#ask(round)
      this.#tally.note(performance.now() - startedAt, error)
      // A client that was refused does not come back at once.
      const rest = error === undefined ? this.#pauseMillis : Math.max(this.#pauseMillis, 50)
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
    }
  }

  async #ask(round: number): Promise<string | undefined> {
    const user = 1 + ((round * 7_919) % USERS)
    const isOrder = round % 5 === 4
    const body = isOrder ? JSON.stringify({ userId: user, total: 1 + (round % 90) }) : undefined
    return await new Promise((resolve) => {
      const asked = request(
        {
          agent: this.#agent,
          host: this.#base.hostname,
          port: this.#base.port,
          method: isOrder ? 'POST' : 'GET',
          path: isOrder ? '/orders' : `/users/${user}`,
          headers:
            body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          response.resume()
          response.once('end', () =>
            resolve((response.statusCode ?? 500) < 400 ? undefined : `HTTP ${response.statusCode}`),
          )
        },
      )
      asked.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      asked.end(body)
    })
  }
}
