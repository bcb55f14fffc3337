// npm run mutation: changes the engine's source in small ways, one at a time, and sees whether a test notices.
/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts', related: false },
  plugins: ['@stryker-mutator/vitest-runner'],
  mutate: ['src/core/**/*.ts'],
  // In the copy that it mutates: one file, so that a mutant costs one load.
  buildCommand: 'node scripts/bundle-engine-tests.mjs',
  coverageAnalysis: 'perTest',
  disableTypeChecks: true,
  // Constants and tables are made once, when a file is loaded; a mutant there would need a run of everything.
  ignoreStatic: true,
  concurrency: 1,
  timeoutMS: 3_000,
  reporters: ['clear-text', 'json', 'html'],
  jsonReporter: { fileName: 'coverage/mutation.json' },
  htmlReporter: { fileName: 'coverage/mutation.html' },
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  eventReporter: { baseDir: 'coverage/mutation-events' },
  tempDirName: 'coverage/.stryker',
  ignorePatterns: ['/dist', '/bench', '/demo', '/docs', '/examples', '/coverage', '/packages', '/rig', '/.ci'],
}
