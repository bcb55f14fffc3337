import { DashboardStream } from './dashboard.ts'
import { parseMetrics, poolsOf, type Scrape } from './scrape.ts'

/** Without an answer for this long, a process counts as away. */
const TIMEOUT_MILLIS = 5_000

export interface SourceOptions {
  /** What the metrics begin with. */
  readonly prefix: string
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Where the numbers of a process come from: its `/metrics`, which are asked again and again, or its dashboard, which
 * tells by itself. Which of them an address is turns out with the first answer.
 */
export class Source {
  readonly #url: string
  /** Where the metrics turned out to be. */
  #metricsUrl: string | undefined
  readonly #options: SourceOptions
  #stream: DashboardStream | undefined
  readonly #gone = new AbortController()

  constructor(url: string, options: SourceOptions) {
    this.#url = url
    this.#options = options
  }

  /** The pools as they are now. @throws {Error} with what went wrong in one line */
  async next(): Promise<Scrape> {
    if (this.#stream !== undefined) return await this.#told(this.#stream)
    if (this.#metricsUrl !== undefined)
      return await this.#metrics(this.#metricsUrl, await this.#fetch(this.#metricsUrl, 'text/plain'))
    const { pathname } = new URL(this.#url)
    const response = await this.#fetch(this.#url, 'text/plain')
    const type = response.headers.get('content-type') ?? ''
    // A page, or the root of a server that has none: a dashboard, if it has a stream; metrics where they usually are.
    if (response.ok && !type.includes('text/html')) {
      const scrape = await this.#metrics(this.#url, response).catch((error: unknown) => {
        if (pathname !== '/') throw error
      })
      if (scrape !== undefined) return scrape
    } else await response.body?.cancel()
    const folder = response.url.endsWith('/') ? response.url : `${response.url}/`
    const events = await this.#fetch(new URL('events', folder).href, 'text/event-stream')
    if (events.headers.get('content-type')?.includes('text/event-stream') === true) {
      this.#stream = new DashboardStream(this.#url, events)
      // A dashboard says hello at once; any other stream may say nothing for ever.
      return await this.#told(this.#stream, TIMEOUT_MILLIS)
    }
    await events.body?.cancel()
    if (pathname !== '/' || [401, 403, 421].includes(response.status))
      throw new Error(
        `${this.#url} answered ${response.status}${response.ok ? ' with a page that is no dashboard' : ''}`,
      )
    const metrics = new URL('metrics', this.#url).href
    return await this.#metrics(metrics, await this.#fetch(metrics, 'text/plain'))
  }

  async #told(stream: DashboardStream, timeoutMillis = Infinity): Promise<Scrape> {
    const late = Number.isFinite(timeoutMillis)
      ? setTimeout(() => stream.fail(new Error(`${this.#url} has a stream that is no dashboard’s`)), timeoutMillis)
      : undefined
    try {
      const scrape = await stream.next()
      if (scrape.pools.length === 0) throw new Error(`${this.#url} tells of no pool`)
      return scrape
    } catch (error) {
      stream.close()
      this.#stream = undefined
      throw error
    } finally {
      clearTimeout(late)
    }
  }

  async #metrics(url: string, answer: Response): Promise<Scrape> {
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
    const { prefix } = this.#options
    const pools = poolsOf(parseMetrics(await answer.text()), prefix)
    if (pools.length === 0) throw new Error(`${url} tells of no pool (no metric that begins with ${prefix})`)
    this.#metricsUrl = url
    return { at: performance.now(), pools }
  }

  /** A stream goes on; only its beginning is waited for that long. */
  async #fetch(url: string, accept: string): Promise<Response> {
    const late = new AbortController()
    const timer = setTimeout(
      () => late.abort(new DOMException(`${url} does not answer`, 'TimeoutError')),
      TIMEOUT_MILLIS,
    )
    try {
      const signal = AbortSignal.any([late.signal, this.#gone.signal])
      return await fetch(url, { signal, headers: { accept, ...this.#options.headers } })
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#stream?.close()
    this.#gone.abort()
  }
}
