import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { findingsPage } from '../src/doctor/stories.ts'
import { millpond } from './run.ts'

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

it('tells in docs/findings.md what `explain` tells (npm run rules writes it)', () => {
  expect(read('docs/findings.md')).toBe(findingsPage())
})

it('names every command in the README', async () => {
  const { out } = await millpond(['--help'])
  const commands = Array.from(out.matchAll(/^ {2}([a-z]+) /gm), ([, name = '']) => name).filter(
    (name) => name !== 'help',
  )
  expect(commands.length).toBeGreaterThan(3)
  for (const name of commands) expect(read('README.md')).toContain(`| \`millpond ${name}`)
})

it('publishes everything that it reads at run time', () => {
  const { files, bin } = JSON.parse(read('package.json')) as { files: string[]; bin: { millpond: string } }
  expect(files).toEqual(['dist', 'docs'])
  expect(read('src/main.ts').startsWith('#!/usr/bin/env node\n')).toBe(true)
  expect(bin.millpond).toBe('./dist/main.js')
})
