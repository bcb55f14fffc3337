import * as typescriptParser from '@typescript-eslint/parser'
import { Linter as Linter10, RuleTester as RuleTester10 } from 'eslint'
import { Linter as Linter9, RuleTester as RuleTester9 } from 'eslint-9'
import { describe, it } from 'vitest'
import { plugin } from '../src/index.ts'

export interface Wrong {
  readonly name: string
  readonly code: string
  readonly errors: readonly (
    string | { messageId: string; data?: Record<string, unknown>; line?: number; suggestions?: number | object[] }
  )[]
  readonly output?: string
  readonly options?: readonly unknown[]
}
export interface Right {
  readonly name: string
  readonly code: string
  readonly options?: readonly unknown[]
}

const VERSIONS = { 'ESLint 10': [RuleTester10, Linter10.version], 'ESLint 9': [RuleTester9, Linter9.version] } as const

for (const [, [Tester]] of Object.entries(VERSIONS)) {
  Object.assign(Tester, {
    it: (name: string, fn: () => void) => it(name, fn),
    itOnly: it,
    describe: (_: string, fn: () => void) => fn(),
  })
}

/** Runs a rule on cases of wrong and right code: JavaScript and TypeScript, on each ESLint that is supported. */
export function testRule(rule: string, { wrong, right }: { wrong: readonly Wrong[]; right: readonly Right[] }): void {
  const module = plugin.rules?.[rule]
  if (module === undefined) throw new Error(`there is no rule ${rule}`)
  for (const [version, [Tester]] of Object.entries(VERSIONS)) {
    const tester = new Tester({ languageOptions: { parser: typescriptParser } })
    describe(`${rule} on ${version}`, () => {
      tester.run(rule, module, {
        valid: right.map(({ name, code, options }) => ({
          name,
          code,
          ...(options === undefined ? {} : { options: [...options] }),
        })),
        invalid: wrong.map(({ name, code, errors, output, options }) => ({
          name,
          code,
          output: output ?? null,
          errors: errors.map((each) => (typeof each === 'string' ? { messageId: each } : each)) as never,
          ...(options === undefined ? {} : { options: [...options] }),
        })),
      })
    })
  }
}

/** The messages of all rules of a set on a piece of JavaScript, as an ESLint with its own parser sees it. */
export function lint(
  code: string,
  set: 'recommended' | 'strict' = 'strict',
  filename = 'file.js',
): { rule: string; line: number; message: string }[] {
  return new Linter10()
    .verify(code, plugin.configs[set] as never, { filename })
    .map(({ ruleId, line, message }) => ({ rule: (ruleId ?? 'parse').replace('millpond/', ''), line, message }))
}
