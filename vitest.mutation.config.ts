import { defineConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** The tests of the engine that need no server, for `npm run mutation`, which runs them in threads. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: (process.env['MUTATION_TESTS'] ?? 'unit,spec,property,regression')
      .split(',')
      .map((folder) => `test/${folder}/**/*.test.ts`),
    env: { PROPERTY_RUNS: '15' },
    execArgv: [],
    setupFiles: ['test/support/expose-gc.ts'],
    testTimeout: 10_000,
  },
})
