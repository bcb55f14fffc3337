import { defineConfig } from 'vitest/config'
import { ForksPoolWorker } from 'vitest/node'
import { doors } from './scripts/doors.mjs'

/** The folder of another undici than the installed one, in the matrix of versions. */
const undici = process.env['MILLPOND_TEST_UNDICI']
const packages = new URL('./packages/', import.meta.url).pathname

/** Tells how a process ended in the middle of its tests, of which Vitest says only that it did. */
class ToldWorker extends ForksPoolWorker {
  #isOver = false

  override async start(): Promise<void> {
    await super.start()
    this.on('exit', (...[code, signal]: unknown[]) => {
      if (!this.#isOver) console.error(`A process ended in the middle of its tests: ${String(signal ?? code)}`)
    })
  }

  override async stop(): Promise<void> {
    this.#isOver = true
    await super.stop()
  }
}

export default defineConfig({
  resolve: {
    // Tests run on the sources; what users install is checked by the packed-package tests.
    alias: [
      // The lowest driver that is supported, in the matrix of versions.
      ...(process.env['MILLPOND_TEST_PG'] === 'lowest' ? [{ find: /^pg$/, replacement: 'pg-lowest' }] : []),
      ...(undici === undefined ? [] : [{ find: /^undici$/, replacement: `${undici}/index.js` }]),
      { find: /^eslint-plugin-millpond$/, replacement: `${packages}eslint-plugin/src/index.ts` },
      { find: /^eslint-plugin-millpond\/analysis$/, replacement: `${packages}eslint-plugin/src/analysis/index.ts` },
      { find: /^eslint-plugin-millpond\/catalogue$/, replacement: `${packages}eslint-plugin/src/data/index.ts` },
      ...(process.env['MILLPOND_TEST_MYSQL'] === 'lowest'
        ? [{ find: /^mysql2(?=\/|$)/, replacement: 'mysql2-low' }]
        : []),
      ...Object.entries(doors()).map(([door, source]) => ({ find: new RegExp(`^${door}$`), replacement: source })),
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'rig/test/**/*.test.ts', 'demo/test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
    exclude: [
      '**/node_modules/**',
      '**/dist/**',
      'test/packed/**',
      ...(process.env['MILLPOND_TEST_PG'] === 'native' ? [] : ['test/integration/pg-native.test.ts']),
    ],
    // Against what hangs, not against what is slow: machines that build are shared.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Of real servers on a machine that others use too, one answer in thousands may come at the wrong moment; what fails
    // twice has failed. Not for the property tests: a seed that fails is a bug.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    pool: { name: 'told-forks', createPoolWorker: (options) => new ToldWorker(options) },
    // Most of what they do is to wait for servers and times.
    maxWorkers: 3,
    execArgv: ['--expose-gc'],
    coverage: { include: ['src/core/**/*.ts'], reporter: ['text-summary', 'json-summary', 'html'] },
  },
})
