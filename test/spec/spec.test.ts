import { readdirSync } from 'node:fs'
import { describe, it } from 'vitest'
import { play, readScenarios } from './interpreter.ts'

const here = new URL('.', import.meta.url)

describe.each(readdirSync(here).filter((name) => name.endsWith('.yaml')))('%s', (name) => {
  for (const scenario of readScenarios(new URL(name, here))) {
    it(scenario.scenario, async () => {
      await play(scenario)
    })
  }
})
