import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { Pool, PoolGroup } from 'millpond'
import { serveDashboard, type AuditEntry, type ServedDashboard, type ServeOptions } from 'millpond/dashboard'
import { describeBrowser, findings, openPage, picture, useBrowser } from '../support/browser.ts'
import { Pools } from '../support/dashboard.ts'
import { closeHttpPools, get, httpPoolOn } from '../support/http.ts'

/** What an eye would see last: the page in both themes and on a small screen. */
const LOOKS = [
  { look: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { look: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { look: 'narrow', colorScheme: 'light', viewport: { width: 360, height: 740 } },
] as const

/** Answers nobody. */
async function startSilent(): Promise<{ origin: string; server: Server }> {
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

describeBrowser('what the page of the dashboard shows, in Chromium', { timeout: 60_000 }, () => {
  const browser = useBrowser()
  let pools: Pools
  const closers: (() => unknown)[] = []

  beforeEach(() => {
    pools = new Pools()
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
    await closeHttpPools()
    await pools.stop()
  })

  async function serve(of: Pools, options: ServeOptions = {}): Promise<ServedDashboard> {
    const served = await serveDashboard(of.registry, {
      instance: 'here',
      intervalMillis: 200,
      actions: true,
      audit: () => undefined,
      ...options,
    })
    closers.push(() => served.close())
    return served
  }

  async function open(
    { url }: { readonly url: string },
    { hash = '', ...look }: Parameters<Browser['newPage']>[0] & { hash?: string } = {},
  ): Promise<{ page: Page; complaints: string[] }> {
    const opened = await openPage(browser(), `${url}${hash}`, look)
    closers.push(() => opened.page.close())
    await opened.page.getByText('live', { exact: true }).waitFor()
    return opened
  }

  const hashOf = (name: string): string => `#pool=${encodeURIComponent(name)}`
  const panel = (page: Page, name: string): ReturnType<Page['locator']> =>
    page.getByRole('region', { name: new RegExp(`^${name}`) }).first()
  const row = (page: Page, of: string, text: string): ReturnType<Page['locator']> =>
    panel(page, of).getByRole('row').filter({ hasText: text })
  const cells = async (line: ReturnType<Page['locator']>): Promise<string[]> =>
    await line.locator('td').allTextContents()
  const seen = (line: ReturnType<Page['locator']>, ...expected: string[]): Promise<boolean> =>
    waitFor(async () => (await cells(line)).join('|').startsWith(expected.join('|')), {
      what: `the page shows ${expected.join(', ')}`,
    })
  const widthOf = (page: Page): Promise<number> => page.evaluate<number>('document.documentElement.scrollWidth')

  it('shows each origin of an HTTP pool, and takes the connection away that was meant', async () => {
    const [one, two] = [await startSilent(), await startSilent()]
    closers.push(
      () => one.server.close(),
      () => two.server.close(),
    )
    const api = pools.registry.register(httpPoolOn({}, { name: 'api', max: 7 }))
    const ends = [one, two].map(({ origin }) =>
      get(api, `${origin}/`, { label: origin }).catch((error: unknown) => error),
    )
    const { page, complaints } = await open(await serve(pools), { hash: hashOf('here/api') })
    const columns = await panel(page, 'Parts').locator('th').allTextContents()
    expect(columns).toEqual(['part', 'used', 'idle', 'creating', 'waiting', 'leases', 'max'])
    for (const { origin } of [one, two]) {
      // Beside it is one that the check of health has opened.
      await seen(row(page, 'Parts', origin), origin, '1')
      // It may still be waiting for it.
      await waitFor(async () => (await cells(row(page, 'Parts', origin))).slice(-3).join('|') === '0|1|7', {
        what: 'nobody waits for the origin, which has a lease out of 7',
      })
      await seen(row(page, 'Leases', origin), '1', origin)
      await row(page, 'Connections', origin).getByText('used').first().waitFor()
    }
    // Resized is each origin; what the card says is the sum.
    await page.getByText('of each part; all together: min 0, max 14').waitFor()
    expect(await page.getByRole('spinbutton', { name: 'max' }).inputValue()).toBe('7')

    await page.getByRole('button', { name: `Take away connection 1 of ${two.origin}` }).click()
    await page.getByRole('dialog').getByText(`Take connection 1 of “${two.origin}” away`).waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Take away' }).click()
    await page.getByText(`Connection 1 of ${two.origin} was taken away.`, { exact: true }).waitFor()
    expect(await ends[1]).toBeInstanceOf(Error)
    expect(api.origins()[one.origin]?.used).toBe(1)
    await picture(page, 'parts')
    await page.setViewportSize({ width: 360, height: 740 })
    await picture(page, 'parts-narrow')
    expect(await widthOf(page)).toBeLessThanOrEqual(360)
    expect(await findings(page)).toEqual([])
    expect(complaints).toEqual([])
  })

  it('shows each pool of a group, and suspends and resumes them together', async () => {
    const group = new PoolGroup<string, Pool<object>>({ name: 'tenants' }, (key) => {
      const create = (): Promise<object> => Promise.resolve({})
      return new Pool({ kind: 'thing', create, destroy: () => undefined }, { name: key, max: 2 })
    })
    pools.registry.register(group)
    const lease = await group.get('acme').acquire({ label: 'report' })
    const { page } = await open(await serve(pools), { hash: hashOf('here/tenants') })
    await row(page, 'Parts', 'acme').waitFor()
    await page.getByRole('button', { name: 'Suspend' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click()
    await page.getByText('Nobody gets a connection until it is resumed.', { exact: true }).waitFor()
    const late = group.get('late').acquire({ label: 'late' })
    await seen(row(page, 'Waiters', 'late'), 'late')
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click()
    await page.getByText('It hands out connections again.', { exact: true }).waitFor()
    ;(await late).release()
    lease.release()
  })

  it('asks before it acts, and can be answered with the keyboard', async () => {
    const orders = pools.add('orders')
    await orders.use(() => undefined)
    const audited: AuditEntry[] = []
    const { page, complaints } = await open(await serve(pools, { audit: (entry) => audited.push(entry) }), {
      hash: hashOf('here/orders'),
    })
    const focused = (): Promise<string> => page.evaluate<string>('document.activeElement?.textContent ?? ""')
    const dialog = page.getByRole('dialog')
    await page.getByRole('button', { name: 'Suspend' }).focus()
    await page.keyboard.press('Enter')
    await dialog.getByText('Suspend “orders”?').waitFor()
    // What does nothing comes first.
    expect(await focused()).toBe('Cancel')
    for (const theme of ['Dark', 'Light']) {
      expect(await findings(page)).toEqual([])
      await picture(page, `dialog-before-${theme}`)
      await page.evaluate(`document.documentElement.dataset.theme = '${theme.toLowerCase()}'`)
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    expect(await focused()).toBe('Suspend')
    expect([orders.state, audited.length]).toEqual(['open', 0])

    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('Nobody gets a connection until it is resumed.', { exact: true }).waitFor()
    expect(orders.state).toBe('suspended')
    await page.getByRole('button', { name: 'Resume' }).waitFor()
    expect(await focused()).toBe('Resume')
    await page.keyboard.press('Enter')
    await dialog.getByText('Resume “orders”?').waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('It hands out connections again.', { exact: true }).waitFor()
    expect(orders.state).toBe('open')

    await page.getByRole('button', { name: 'Replace all connections' }).click()
    await dialog.getByText('Replace every connection of “orders”?').waitFor()
    await dialog.getByRole('button', { name: 'Replace all' }).click()
    await page
      .getByText('Idle connections are closed; used ones follow when they are released.', { exact: true })
      .waitFor()
    expect(orders.stats()).toMatchObject({ idle: 0, generation: 1 })
    expect(audited.map(({ action }) => action)).toEqual(['suspend', 'resume', 'invalidate'])
    await row(page, 'Recent events', 'suspend from the dashboard').waitFor()
    expect(complaints).toEqual([])
  })

  it('shows advice, stacks, events, and why connections were closed', async () => {
    const orders = pools.add('orders', { max: 1 })
    const advice = [
      { verdict: 'Raise max to 3.', reason: 'One in two callers waits longer than 20 ms.' },
      { verdict: 'Raise max to 3.', reason: 'And no caller is late then.' },
    ]
    const served = await serve(pools, { advice: () => advice })
    const held = await orders.acquire({ label: 'GET /orders' })
    await expect(orders.acquire({ timeoutMillis: 1, label: 'POST /orders' })).rejects.toThrow()
    const { page, complaints } = await open(served, { hash: hashOf('here/orders') })
    for (const { reason } of advice) await page.getByText(reason).waitFor()
    await row(page, 'Leases', 'GET /orders').locator('summary').filter({ hasText: 'dashboard-views.test' }).click()
    await row(page, 'Leases', 'GET /orders').locator('pre').waitFor()
    // It stays open, though all is drawn anew every second.
    const at = await page.locator('header.top .muted').textContent()
    await waitFor(async () => (await page.locator('header.top .muted').textContent()) !== at, {
      what: 'a second passes',
    })
    await row(page, 'Leases', 'GET /orders').locator('pre').waitFor()
    await row(page, 'Recent events', 'POST /orders').waitFor()
    expect(await findings(page)).toEqual([])
    await picture(page, 'detail')
    held.release()
    orders.invalidate()
    await row(page, 'Counted since the start', 'closed: stale').waitFor()
    expect(await cells(row(page, 'Counted since the start', 'closed: stale'))).toEqual(['closed: stale', '1'])
    await page.getByRole('link', { name: 'All pools' }).click()
    await page.getByText('opened 1, closed stale 1').waitFor()
    expect(complaints).toEqual([])
  })

  it.each(LOOKS)('shows several processes, and who does not answer ($look)', async ({ look, ...options }) => {
    pools.add('orders')
    const other = new Pools()
    closers.push(() => other.stop())
    const remote = other.add('orders')
    const there = await serve(other, { instance: 'there' })
    const here = await serve(pools, { instances: [there.url, 'http://127.0.0.1:1/'] })
    const { page, complaints } = await open(here, options)
    await page.getByText('2 pools, all healthy').waitFor()
    await page.getByText('■ 127.0.0.1:1 does not answer: cannot be reached').waitFor()
    // Of the same name, told apart by their process.
    const instances = await page.locator('article .instance').allTextContents()
    expect(instances).toEqual(['here', 'there'])
    expect(await findings(page)).toEqual([])
    expect(await widthOf(page)).toBeLessThanOrEqual(options.viewport.width)
    await picture(page, `instances-${look}`)

    await page.locator('article').filter({ hasText: 'there' }).getByRole('link', { name: 'orders' }).click()
    await page.getByRole('button', { name: 'Suspend' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click()
    await page.getByText('Nobody gets a connection until it is resumed.', { exact: true }).waitFor()
    expect(remote.state).toBe('suspended')
    await picture(page, `suspended-${look}`)
    await page.getByRole('link', { name: 'All pools' }).click()
    await page.getByText('2 pools, 1 to look at').waitFor()

    await there.close()
    await page.getByText('■ there does not answer: cannot be reached').waitFor()
    await page.getByText('1 pool, all healthy').waitFor()
    await here.close()
    await page.getByText('connection lost, trying again …').waitFor()
    expect(await findings(page)).toEqual([])
    await picture(page, `lost-${look}`)
    // The browser itself complains of the connection that it lost, and of nothing else.
    expect(complaints.filter((text) => !/net::ERR_/.test(text))).toEqual([])
  })
})
