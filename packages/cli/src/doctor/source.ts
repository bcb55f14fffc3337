import * as typescriptParser from '@typescript-eslint/parser'
import { Linter, type Rule } from 'eslint'
import { plugin } from 'eslint-plugin-millpond'
import { poolsOf, type PoolSite } from 'eslint-plugin-millpond/analysis'
import type { Finding } from './finding.ts'

/** What the source of one file tells. */
export interface SourceReport {
  readonly findings: readonly Finding[]
  /** Pools and clients that it makes. */
  readonly pools: readonly PoolSite[]
  /** The text with all that is mechanical mended; undefined where nothing was. */
  readonly fixed: string | undefined
}

export interface SourceOptions {
  /** Mend what is mechanical. @defaultValue false */
  readonly fix?: boolean
  /** The versions of drivers that are installed, by the driver. @defaultValue the latest */
  readonly versions?: Readonly<Record<string, string>>
}

/** Runs the rules of the ESLint plugin on a text, without any configuration of the project's own. */
export function examineSource(
  file: string,
  text: string,
  { fix = false, versions = {} }: SourceOptions = {},
): SourceReport {
  const linter = new Linter()
  const pools: PoolSite[] = []
  const collector: Rule.RuleModule = { create: (context) => poolsOf(context, (site) => void pools.push(site)) }
  const isTypeScript = /\.[cm]?tsx?$/.test(file)
  const config = [
    ...plugin.configs.recommended,
    {
      // ESLint leaves TypeScript alone unless a pattern asks for it by name.
      files: ['**/*.{js,cjs,mjs,jsx,ts,cts,mts,tsx}'],
      plugins: { doctor: { rules: { pools: collector } } },
      settings: { millpond: { versions } },
      rules: { 'doctor/pools': 'warn' as const, ...STRICT },
      linterOptions: { reportUnusedDisableDirectives: 'off' as const },
      languageOptions: {
        parser: typescriptParser as Linter.Parser,
        parserOptions: { ecmaFeatures: { jsx: !isTypeScript || file.endsWith('x') } },
      },
    },
  ]
  const options = { filename: file }
  const fixed = fix ? linter.verifyAndFix(text, config, options) : undefined
  pools.length = 0
  const messages = linter.verify(fixed?.output ?? text, config, options)
  return {
    findings: messages.flatMap((message) => toFinding(file, message)),
    pools,
    fixed: fixed?.fixed === true ? fixed.output : undefined,
  }
}

/** Rules of `strict` that find what stops a program under load; the doctor warns of them. */
const STRICT: Linter.RulesRecord = {
  'millpond/no-await-in-held-connection': 'warn',
  'millpond/no-concurrent-queries': 'warn',
  'millpond/no-ignored-options': ['error', { unbounded: true }],
  'millpond/no-nested-acquire': 'warn',
}

function toFinding(file: string, message: Linter.LintMessage): Finding[] {
  const { ruleId, line, column, endLine, endColumn } = message
  const place = {
    file,
    line,
    column,
    ...(endLine === undefined ? {} : { endLine }),
    ...(endColumn === undefined ? {} : { endColumn }),
  }
  if (message.fatal === true)
    return [
      {
        id: 'source-unreadable',
        severity: 'info',
        ...place,
        message: `This file could not be read: ${message.message}.`,
      },
    ]
  // Comments may configure rules of other plugins, which are not here.
  if (ruleId?.startsWith('millpond/') !== true || message.message.startsWith('Definition for rule')) return []
  return [
    {
      id: ruleId.slice('millpond/'.length),
      // What takes a bound away works until the day it does not.
      severity: message.severity === 2 && message.messageId !== 'unbounded' ? 'error' : 'warning',
      ...place,
      message: message.message,
      ...(message.fix === undefined ? {} : { fixable: true }),
    },
  ]
}
