import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe } from 'vitest'
import { findProgram, tryStart } from '@millpond/rig'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const FOLDERS = [
  '/usr/bin',
  '/Applications/Chromium.app/Contents/MacOS',
  '/Applications/Google Chrome.app/Contents/MacOS',
]
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'Google Chrome', 'Chromium']

function chromiumPath(): string {
  const path = NAMES.map((name) => findProgram(name, FOLDERS)).find((found) => found !== undefined)
  if (path === undefined) throw new Error('No Chromium is installed; run node scripts/install-servers.mjs')
  return path
}

const executablePath = await tryStart('Chromium', () => Promise.resolve(chromiumPath()))

/** `describe` for what needs a browser: skipped, loudly, where there is none. */
export const describeBrowser = describe.skipIf(executablePath === undefined)

/** One browser for all tests of the `describe` that it is called in; the function gives it to each. */
export function useBrowser(): () => Browser {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ args: FLAGS, ...(executablePath === undefined ? {} : { executablePath }) })
  })
  afterAll(async () => {
    await browser.close()
  })
  return () => browser
}

/** A page, and everything that it complained of. */
export async function openPage(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newPage']>[0] = {},
): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(url)
  return { page, complaints }
}

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** What axe finds that is serious or worse, one line each. */
export async function findings(page: Page): Promise<string[]> {
  // The page's own policy lets no script in from outside; axe goes in through the debugger.
  const session = await page.context().newCDPSession(page)
  await session.send('Runtime.evaluate', { expression: AXE })
  await session.detach()
  const { violations } = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> }
    }
    return await axe.run()
  })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`)
}

/** Keeps a picture of the page where `MILLPOND_PICTURES` names a folder for them: some things only an eye can judge. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['MILLPOND_PICTURES']
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}
