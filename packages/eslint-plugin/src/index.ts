import type { ESLint, Linter } from 'eslint'
import type { Rule } from './rule.ts'
import { noAwaitInHeldConnection } from './rules/no-await-in-held-connection.ts'
import { noClientPerRequest } from './rules/no-client-per-request.ts'
import { noConcurrentQueries } from './rules/no-concurrent-queries.ts'
import { noDoubleRelease } from './rules/no-double-release.ts'
import { noDroppedAcquire } from './rules/no-dropped-acquire.ts'
import { noDuplicateOptions } from './rules/no-duplicate-options.ts'
import { noExitBeforeClose } from './rules/no-exit-before-close.ts'
import { noIgnoredOptions } from './rules/no-ignored-options.ts'
import { noMaskingRollback } from './rules/no-masking-rollback.ts'
import { noNestedAcquire } from './rules/no-nested-acquire.ts'
import { noOversizedPool } from './rules/no-oversized-pool.ts'
import { noPercentComparison } from './rules/no-percent-comparison.ts'
import { noPoolInTransaction } from './rules/no-pool-in-transaction.ts'
import { noPrivateDriverFields } from './rules/no-private-driver-fields.ts'
import { noSharedBlockingRedis } from './rules/no-shared-blocking-redis.ts'
import { noTransactionOnPool } from './rules/no-transaction-on-pool.ts'
import { noUnreadBody } from './rules/no-unread-body.ts'
import { requireConnectionTimeout } from './rules/require-connection-timeout.ts'
import { requireErrorListener } from './rules/require-error-listener.ts'
import { requireRelease } from './rules/require-release.ts'
import { requireSigterm } from './rules/require-sigterm.ts'

const rules: Readonly<Record<string, Rule>> = {
  'no-await-in-held-connection': noAwaitInHeldConnection,
  'no-client-per-request': noClientPerRequest,
  'no-concurrent-queries': noConcurrentQueries,
  'no-double-release': noDoubleRelease,
  'no-dropped-acquire': noDroppedAcquire,
  'no-duplicate-options': noDuplicateOptions,
  'no-exit-before-close': noExitBeforeClose,
  'no-ignored-options': noIgnoredOptions,
  'no-masking-rollback': noMaskingRollback,
  'no-nested-acquire': noNestedAcquire,
  'no-oversized-pool': noOversizedPool,
  'no-percent-comparison': noPercentComparison,
  'no-pool-in-transaction': noPoolInTransaction,
  'no-private-driver-fields': noPrivateDriverFields,
  'no-shared-blocking-redis': noSharedBlockingRedis,
  'no-transaction-on-pool': noTransactionOnPool,
  'no-unread-body': noUnreadBody,
  'require-connection-timeout': requireConnectionTimeout,
  'require-error-listener': requireErrorListener,
  'require-release': requireRelease,
  'require-sigterm': requireSigterm,
}

/** The plugin in the types of ESLint, whose versions 9 and 10 differ in what they call a rule. */
interface Plugin extends ESLint.Plugin {
  readonly configs: {
    /** Mistakes: errors for what loses connections or data, warnings for the rest. */
    readonly recommended: Linter.Config[]
    /** All rules as errors, `no-unread-body` on every path, `no-ignored-options` also of what takes a bound away. */
    readonly strict: Linter.Config[]
  }
}

/** The plugin: `import millpond from 'eslint-plugin-millpond'`, then `millpond.configs.recommended` in the configuration. */
export const plugin: Plugin = {
  meta: { name: 'eslint-plugin-millpond', version: '0.1.0', namespace: 'millpond' },
  rules: rules as unknown as NonNullable<ESLint.Plugin['rules']>,
  configs: { recommended: [], strict: [] },
}

plugin.configs.recommended.push({
  name: 'millpond/recommended',
  plugins: { millpond: plugin },
  rules: entries('recommended'),
})
plugin.configs.strict.push({
  name: 'millpond/strict',
  plugins: { millpond: plugin },
  rules: {
    ...entries('strict'),
    'millpond/no-ignored-options': ['error', { unbounded: true }],
    'millpond/no-unread-body': ['error', { everyPath: true }],
  },
})

function entries(set: 'recommended' | 'strict'): Linter.RulesRecord {
  const found = Object.entries(rules).flatMap(([name, { meta }]): [string, 'error' | 'warn'][] => {
    if (set === 'strict') return [[`millpond/${name}`, 'error']]
    if (meta.docs.set === 'strict') return []
    return [[`millpond/${name}`, meta.type === 'problem' ? 'error' : 'warn']]
  })
  return Object.fromEntries(found)
}

export default plugin
// A CommonJS configuration gets the plugin itself from `require`.
export { plugin as 'module.exports' }
