import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { plugin } from '../src/index.ts'
import { lint } from './cases.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const { headOf, withTable } = (await import('../../../scripts/rule-pages.mjs')) as {
  headOf(meta: unknown): string
  withTable(readme: string, rules: unknown): string
}
const rules = plugin.rules as unknown as Record<string, { meta: { schema: { properties?: object }[] } }>

describe('the documentation of the rules', () => {
  it('has a table that is what the rules say today', () => {
    const readme = readFileSync(`${root}README.md`, 'utf8')
    expect(readme).toBe(withTable(readme, rules))
  })

  it('has a page for each rule, and no other', () => {
    expect(readdirSync(`${root}docs/rules`).map((file) => file.replace('.md', ''))).toEqual(Object.keys(rules).sort())
  })

  describe.each(Object.keys(rules))('the page of %s', (name) => {
    const file = `${root}docs/rules/${name}.md`
    const page = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const [wrong = '', right = ''] = page.split('\n## Right\n')
    const blocks = (text: string): string[] =>
      Array.from(text.matchAll(/^```js\n(.*?)^```/gms), ([, code = '']) => code)
    const found = (code: string): string[] =>
      lint(code, 'recommended')
        .concat(lint(code, 'strict'))
        .map(({ rule }) => rule)

    it('begins with what the rule says of itself', () => {
      expect(page.startsWith(`# ${name}\n\n${headOf(rules[name]?.meta)}\n\n`)).toBe(true)
    })

    it('shows code that the rule reports', () => {
      expect(blocks(wrong).length).toBeGreaterThan(0)
      for (const code of blocks(wrong)) expect(found(code), code).toContain(name)
    })

    it('shows code that the rule lets pass', () => {
      expect(blocks(right).length).toBeGreaterThan(0)
      for (const code of blocks(right)) {
        expect(found(code), code).not.toContain('parse')
        expect(found(code), code).not.toContain(name)
      }
    })

    it('names every option', () => {
      for (const option of Object.keys(rules[name]?.meta.schema[0]?.properties ?? {}))
        expect(page).toContain(`- \`${option}\``)
    })
  })
})
