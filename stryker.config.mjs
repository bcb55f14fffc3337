// npm run mutation: changes the engine's source in small ways, one at a time, and sees whether a test notices.
/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  testRunner: 'engine',
  plugins: ['./scripts/mutation/runner.mjs'],
  mutate: ['src/core/**/*.ts'],
  // In the copy that it mutates.
  buildCommand: 'node scripts/mutation/bundle.mjs',
  coverageAnalysis: 'perTest',
  disableTypeChecks: true,
  // Constants and tables are made once, when a file is loaded; a mutant there would need a run of everything.
  ignoreStatic: true,
  concurrency: 1,
  // The runner has limits of its own, which count turns of the event loop and CPU time.
  timeoutMS: 60_000,
  // What mutants leave behind in the process (timers, listeners) is not for ever.
  maxTestRunnerReuse: 100,
  reporters: ['progress-append-only', 'json', 'html'],
  jsonReporter: { fileName: 'coverage/mutation.json' },
  htmlReporter: { fileName: 'coverage/mutation.html' },
  tempDirName: 'coverage/.stryker',
  ignorePatterns: ['/dist', '/bench', '/demo', '/docs', '/examples', '/coverage', '/packages', '/rig', '/.ci'],
}
