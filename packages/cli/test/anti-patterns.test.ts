import { plugin } from 'eslint-plugin-millpond'
import { expect, it } from 'vitest'
import { antiPatternsPage, OTHERS } from './anti-patterns.ts'

// After a change of messages: npx vitest run packages/cli/test/anti-patterns -u
it('shows in docs/guide/anti-patterns.md what linter, doctor and library say today', async () => {
  const page = await antiPatternsPage()
  for (const [, block = ''] of page.matchAll(/^```\w*\n(.*?)^```/gms)) expect(block.trim()).not.toBe('')
  await expect(page).toMatchFileSnapshot('../../../docs/guide/anti-patterns.md')
})

it('names rules that there are', () => {
  for (const [, rule] of OTHERS) expect(Object.keys(plugin.rules ?? {})).toContain(rule)
})
