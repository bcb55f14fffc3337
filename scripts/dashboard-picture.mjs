// Makes docs/images/dashboard.png: the dashboard of the demo in the middle of its work. Needs Chromium.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('..', import.meta.url))
const SECONDS = 40

const demo = spawn(process.execPath, ['--import', 'tsx', `${root}demo/src/main.ts`, '--seconds', String(SECONDS)], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const url = await new Promise((resolve, reject) => {
    let text = ''
    demo.stdout.on('data', (chunk) => {
      text += chunk
      const found = /Its dashboard\s+(\S+)/.exec(text)
      if (found) resolve(found[1])
    })
    demo.on('exit', () => reject(new Error(`The demo ended: ${text}`)))
  })
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 })
  await page.goto(url)
  // The prices are away by then, and the database is back.
  await page.waitForTimeout(SECONDS * 750)
  mkdirSync(`${root}docs/images`, { recursive: true })
  await page.screenshot({ path: `${root}docs/images/dashboard.png` })
  await browser.close()
} finally {
  demo.kill('SIGINT')
}
