import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { dashboard, toNodeHandler, type Dashboard, type Hello, type PoolView, type Tick } from 'millpond/dashboard'
import { History, SERIES, type Sample } from '../../src/dashboard/history.ts'
import { describeBrowser, openPage, useBrowser } from '../support/browser.ts'
import { Pools } from '../support/dashboard.ts'

const POOLS = 20
const SECONDS = 3_600

/** A dashboard that has been looking at many pools for an hour: its page is real, its stream is made up. */
class OldDashboard {
  readonly #pools = new Pools()
  readonly #views: PoolView[]
  readonly #page: Dashboard
  readonly #server: Server
  #viewer: ServerResponse | undefined
  #at = Date.now()
  url = ''

  constructor() {
    this.#views = Array.from({ length: POOLS }, (_, index) => this.#view(`pool-${index}`))
    this.#page = dashboard(this.#pools.registry, { enabled: true, instance: 'here' })
    const page = toNodeHandler(this.#page)
    this.#server = createServer((request, response) => {
      if (request.url === '/events') this.#open(response)
      else page(request, response)
    })
  }

  #view(name: string): PoolView {
    const stats = this.#pools.add(name, { max: 20 }).stats()
    const none = { count: 0, p50: null, p95: null, p99: null }
    const recent = { wait: none, use: none, create: none }
    return { key: `here/${name}`, instance: 'here', required: false, stats, health: undefined, recent, leakedAt: undefined, sample: [] } // prettier-ignore
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  #sample(second: number): Sample {
    return SERIES.map((_, series) => 5 + 4 * Math.sin(second / (10 + series)))
  }

  #send(event: string, data: unknown): void {
    this.#viewer?.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #open(response: ServerResponse): void {
    this.#viewer = response.writeHead(200, { 'content-type': 'text/event-stream' })
    const past = new History()
    for (let second = SECONDS; second > 0; second--) past.add(this.#at - second * 1_000, this.#sample(second))
    const history = past.columns()
    const pools = this.#views.map((view) => ({ ...view, history }))
    const instances = [{ name: 'here', reachable: true }]
    this.#send('hello', { protocol: 1, at: this.#at, title: 'Old', intervalMillis: 1_000, actions: false, instances, pools } satisfies Hello) // prettier-ignore
  }

  /** A second passes. */
  tick(): void {
    this.#at += 1_000
    const sample = this.#sample(this.#at / 1_000)
    const pools = this.#views.map((view) => ({ ...view, stats: { ...view.stats, used: Math.round(sample[0] ?? 0) }, sample })) // prettier-ignore
    this.#send('tick', { at: this.#at, instances: [{ name: 'here', reachable: true }], pools } satisfies Tick)
  }

  async stop(): Promise<void> {
    this.#viewer?.end()
    this.#page.close()
    this.#server.closeAllConnections()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
    await this.#pools.stop()
  }
}

/** The CPU that the page's main thread has used between two questions, in milliseconds: what else the machine does is not in it. */
async function mainThread(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  let before = 0
  const since = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics')
    const now = (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? NaN) * 1_000
    const taken = now - before
    before = now
    return taken
  }
  await since()
  return since
}

describeBrowser('the page of twenty pools with an hour behind them', { timeout: 60_000 }, () => {
  const browser = useBrowser()
  let old: OldDashboard
  beforeEach(async () => {
    old = new OldDashboard()
    await old.listen()
  })
  afterEach(async () => {
    await old.stop()
  })

  it.each(['every card', 'one pool'])('draws %s every second without jank', async (what) => {
    const hash = what === 'one pool' ? '#pool=here%2Fpool-3' : ''
    // High enough to show them all: nothing is spared for being out of sight.
    const viewport = { width: 1_600, height: 2_400 }
    // Its process is that of the page to come, so that the clock is there before the page is.
    const { page, complaints } = await openPage(browser(), `${old.url}icon.svg`, { viewport })
    const cpu = await mainThread(page)
    await page.goto(`${old.url}${hash}`)
    await page
      .locator('canvas')
      .nth(what === 'one pool' ? 5 : POOLS - 1)
      .waitFor({ state: 'attached' })
    await page.waitForTimeout(150)
    const opening = await cpu()
    await page.getByRole('button', { name: '1 h' }).click()
    await page.waitForTimeout(150)
    const anHour = await cpu()
    const ticks: number[] = []
    for (let tick = 0; tick < 12; tick++) {
      old.tick()
      // Until it is drawn: two frames in which nothing is left to do.
      await page.waitForTimeout(150)
      ticks.push(await cpu())
    }
    const mean = ticks.reduce((sum, each) => sum + each, 0) / ticks.length
    const highest = Math.max(...ticks)
    if (process.env['MILLPOND_PRINT'] !== undefined)
      console.log(
        `${what}: opening ${opening.toFixed(0)} ms of CPU, an hour ${anHour.toFixed(0)} ms, a tick ${mean.toFixed(1)} ms, at most ${highest.toFixed(1)} ms`,
      )
    expect(complaints).toEqual([])
    // All of a second's work is less than what one task may take before it is felt, and the dearest second is no stutter
    // either. That is the thread's own time: tasks are held up by whatever else a machine does, and not judged.
    expect(mean).toBeGreaterThan(0)
    expect(mean).toBeLessThan(50)
    expect(highest).toBeLessThan(150)
    // Seen once.
    expect(opening).toBeLessThan(2_000)
    expect(anHour).toBeLessThan(1_000)
    await page.close()
  })
})
