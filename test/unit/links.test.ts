import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

function* pagesIn(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.name.endsWith('.md')) yield path
    else if (entry.isDirectory() && !/^(node_modules|dist|coverage|\..*)$/.test(entry.name)) yield* pagesIn(path)
  }
}
const pages = [...pagesIn('.')]

/** The anchor that GitHub gives to a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const anchorsOf = (page: string): string[] =>
  Array.from(readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm), ([, heading = '']) => anchorOf(heading))

function deadLinksOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '')
  const links = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, to = '']) => to)
  return links.filter((to) => {
    if (/^(https?|mailto):/.test(to)) return false
    const [path = '', anchor] = to.split('#')
    const target = path === '' ? join(root, page) : join(root, dirname(page), path)
    if (!existsSync(target)) return true
    return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor)
  })
}

it('every link within the documentation leads to a page and a heading that are there', () => {
  expect(pages.length).toBeGreaterThan(40)
  expect(pages.flatMap((page) => deadLinksOf(page).map((to) => `${page} → ${to}`))).toEqual([])
})
