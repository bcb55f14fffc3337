import { defineConfig } from 'vitest/config'
import { fileURLToPath } from 'node:url'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    // Tests run on the sources; what users install is checked by the packed-package tests.
    alias: [
      // The lowest driver that is supported, in the matrix of versions.
      ...(process.env['MILLPOND_TEST_PG'] === 'lowest' ? [{ find: /^pg$/, replacement: 'pg-lowest' }] : []),
      { find: /^millpond$/, replacement: source('index.ts') },
      { find: /^millpond\/pg$/, replacement: source('adapters/pg/index.ts') },
      { find: /^millpond\/grpc$/, replacement: source('adapters/grpc/index.ts') },
      { find: /^millpond\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'rig/test/**/*.test.ts', 'demo/test/**/*.test.ts'],
    exclude: [
      '**/node_modules/**',
      '**/dist/**',
      'test/packed/**',
      ...(process.env['MILLPOND_TEST_PG'] === 'native' ? [] : ['test/integration/pg-native.test.ts']),
    ],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--expose-gc'],
    coverage: { include: ['src/core/**'], reporter: ['text-summary', 'json-summary', 'html'] },
  },
})
