import { defineConfig } from 'vitest/config'
import config from './vitest.config.ts'

/**
 * The tests of the engine that need no server, as one file (`scripts/bundle-engine-tests.mjs`), for `npm run mutation`,
 * which runs them in a thread. A mutant that leaves a promise open for ever is noticed by the time limit only, so that is
 * short: simulated time needs next to none.
 */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ['coverage/engine.test.mjs'],
    env: { PROPERTY_RUNS: '15' },
    execArgv: [],
    setupFiles: ['test/support/expose-gc.ts'],
    testTimeout: 8_000,
    hookTimeout: 8_000,
    retry: 0,
  },
})
