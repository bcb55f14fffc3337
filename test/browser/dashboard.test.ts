import type { Browser, Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { serveDashboard, type AuditEntry, type ServedDashboard, type ServeOptions } from 'millpond/dashboard'
import { describeBrowser, findings, openPage, useBrowser } from '../support/browser.ts'
import { Pools } from '../support/dashboard.ts'

describeBrowser('the page of the dashboard, in Chromium', { timeout: 60_000 }, () => {
  const browser = useBrowser()
  let pools: Pools
  let served: ServedDashboard
  const pages: Page[] = []

  beforeEach(() => {
    pools = new Pools()
  })
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.close()
    await served.close()
    await pools.stop()
  })

  async function open(
    options: ServeOptions = {},
    look: Parameters<Browser['newPage']>[0] & { hash?: string } = {},
  ): Promise<{ page: Page; complaints: string[] }> {
    served = await serveDashboard(pools.registry, { instance: 'here', intervalMillis: 200, ...options })
    const { hash = '', ...rest } = look
    const opened = await openPage(browser(), `${served.url}${hash}`, rest)
    pages.push(opened.page)
    await opened.page.getByText('live', { exact: true }).waitFor()
    return opened
  }

  const card = (page: Page, name: string): ReturnType<Page['locator']> =>
    page.locator('article').filter({ has: page.getByRole('link', { name, exact: true }) })

  it('shows a card per pool and keeps it up to date, without a complaint', async () => {
    const orders = pools.add('orders', { max: 4, required: true, kind: 'postgres' })
    pools.add('users', { kind: 'grpc' })
    const { page, complaints } = await open()
    await page.getByText('2 pools, all healthy').waitFor()
    const used = card(page, 'orders').locator('dd').first()
    await used.filter({ hasText: '0 / 4' }).waitFor()
    const leases = await Promise.all([orders.acquire(), orders.acquire(), orders.acquire()])
    await used.filter({ hasText: '3 / 4' }).waitFor()
    expect(await card(page, 'orders').getByRole('img').getAttribute('aria-label')).toMatch(
      /Connections of orders: used \d+, idle \d+, creating \d+, max 4/,
    )
    await card(page, 'orders').locator('canvas').waitFor()
    expect(await card(page, 'orders').locator('canvas').count()).toBe(1)
    for (const lease of leases) lease.release()
    await used.filter({ hasText: '0 / 4' }).waitFor()
    orders.suspend()
    await page.getByText('2 pools, 1 to look at').waitFor()
    await card(page, 'orders').getByText('suspended').waitFor()
    orders.resume()
    pools.add('late')
    await page.getByText('3 pools, all healthy').waitFor()
    expect(complaints).toEqual([])
  })

  it('shows all of one pool: who holds it, who waits, what happened, what is slow', async () => {
    const orders = pools.add('orders', { max: 1 })
    const held = await orders.acquire({ label: 'GET /orders' })
    const waiting = orders.acquire({ label: 'POST /orders', timeoutMillis: 60_000 })
    const { page, complaints } = await open()
    orders.operations.ended(
      { describe: () => 'SELECT * FROM orders WHERE id = ?' },
      orders.operations.now() - 3_000,
      false,
    )
    await page.getByRole('link', { name: 'orders', exact: true }).click()
    const panel = (name: string): ReturnType<Page['locator']> =>
      page.getByRole('region', { name: new RegExp(`^${name}`) }).first()
    await panel('Leases').getByText('GET /orders').waitFor()
    await panel('Waiters').getByText('POST /orders').waitFor()
    await panel('Slow operations').getByText('SELECT * FROM orders WHERE id = ?').waitFor()
    await panel('Configuration').getByText('acquireTimeoutMillis').waitFor()
    await page.locator('canvas').nth(5).waitFor({ state: 'attached' })
    expect(await page.locator('canvas').count()).toBe(6)
    held.release()
    ;(await waiting).release()
    await panel('Leases').getByText('Nobody holds a connection.').waitFor()
    await page.getByRole('link', { name: 'All pools' }).click()
    await card(page, 'orders').waitFor()
    expect(complaints).toEqual([])
  })

  it('shows an unlimited pool as such', async () => {
    pools.add('unlimited', { max: Infinity })
    const { page } = await open()
    const numbers = card(page, 'unlimited').locator('dd')
    await numbers.first().filter({ hasText: '/ ∞' }).waitFor()
    expect(await numbers.nth(1).textContent()).toBe('–')
  })

  it('says that it lost the process, and goes on when that is back', async () => {
    pools.add('orders')
    const { page } = await open()
    const { port } = new URL(served.url)
    await served.close()
    await page.getByText('connection lost, trying again …').waitFor()
    served = await serveDashboard(pools.registry, { instance: 'here', intervalMillis: 200, port: Number(port) })
    await page.getByText('live', { exact: true }).waitFor({ timeout: 30_000 })
    await card(page, 'orders').waitFor()
  })

  it.each(['light', 'dark'] as const)('has no serious finding of axe, in the %s theme', async (colorScheme) => {
    const orders = pools.add('orders', { max: 2, required: true })
    const held = await orders.acquire({ label: 'report' })
    pools.add('users').suspend()
    const { page } = await open({ actions: true }, { colorScheme })
    await card(page, 'orders').waitFor()
    expect(await findings(page)).toEqual([])
    await page.getByRole('link', { name: 'orders', exact: true }).click()
    await page.getByRole('heading', { name: 'Actions' }).waitFor()
    expect(await findings(page)).toEqual([])
    held.release()
  })

  it.each(['', '#pool=here%2Forders-of-a-tenant-with-a-long-name'])(
    'fits a screen of 360 pixels (%s)',
    async (hash) => {
      pools.add('orders-of-a-tenant-with-a-long-name')
      const { page } = await open({ actions: true }, { viewport: { width: 360, height: 700 }, hash })
      await page.getByRole('heading', { level: 2 }).waitFor()
      await page.locator('canvas').first().waitFor({ state: 'attached' })
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    },
  )

  it('can be used with the keyboard alone', async () => {
    pools.add('orders')
    const { page } = await open()
    await card(page, 'orders').waitFor()
    const focused = (): Promise<string | null> =>
      page.evaluate<string | null>('document.activeElement?.textContent ?? null')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to the pools')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('orders')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Leases' }).waitFor()
    expect(await page.evaluate<string>('document.activeElement?.tagName')).toBe('MAIN')
    await page.keyboard.press('Tab')
    expect(await focused()).toContain('All pools')
  })

  it('keeps the chosen theme and time span', async () => {
    pools.add('orders')
    const { page } = await open({}, { colorScheme: 'light' })
    await page.getByRole('button', { name: 'Dark' }).click()
    await page.getByRole('button', { name: '1 h' }).click()
    expect(await page.getByRole('button', { name: '1 h' }).getAttribute('aria-pressed')).toBe('true')
    await page.reload()
    await page.getByRole('button', { name: 'Light' }).waitFor()
    expect(await page.evaluate<string>('document.documentElement.dataset.theme')).toBe('dark')
  })

  it('changes nothing where that was not asked for, and otherwise only what was confirmed', async () => {
    const orders = pools.add('orders', { max: 4 })
    const audited: AuditEntry[] = []
    const { page } = await open({ actions: true, audit: (entry) => audited.push(entry) })
    await page.getByRole('link', { name: 'orders', exact: true }).click()
    await page.getByRole('spinbutton', { name: 'max' }).fill('9')
    await page.getByRole('button', { name: 'Resize' }).click()
    await page.getByRole('dialog').getByText('Change the size of “orders” to min 0 and max 9?').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    expect(orders.stats().max).toBe(4)
    await page.getByRole('button', { name: 'Resize' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Resize' }).click()
    await page.getByText('The sizes are now min 0 and max 9.', { exact: true }).waitFor()
    expect(orders.stats().max).toBe(9)
    expect(audited.map(({ action, ok }) => [action, ok])).toEqual([['resize', true]])
    const lease = await orders.acquire({ label: 'report' })
    await page.getByRole('button', { name: 'Take away connection 1' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Take away' }).click()
    await page.getByText('Connection 1 was taken away.', { exact: true }).waitFor()
    expect(lease.signal.aborted).toBe(true)

    await served.close()
    const { page: other } = await open()
    await other.getByRole('link', { name: 'orders', exact: true }).click()
    await other.getByRole('heading', { name: 'Configuration' }).waitFor()
    expect(await other.getByRole('button', { name: 'Resize' }).count()).toBe(0)
  })
})
