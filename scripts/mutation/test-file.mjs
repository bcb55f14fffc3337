import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { constants, runInNewContext, Script } from 'node:vm'
import { collectTests } from './tests.mjs'
import { Watchdog } from './watchdog.mjs'

const TICK_MILLIS = 50

/** A bundle of tests: loaded anew in milliseconds, each test run by itself, and always to an end. */
export class TestFile {
  #script
  #require
  #copy
  #watchdog = new Watchdog()
  /** What each test takes, in milliseconds, where that is known. */
  times = {}
  #stray = () => undefined

  constructor(path) {
    process.env.NODE_ENV = 'test'
    process.env.VITEST = 'true'
    // The worker was started without `--expose-gc`.
    setFlagsFromString('--expose-gc')
    globalThis.gc ??= runInNewContext('gc')
    // Node's own, which prints each.
    process.removeAllListeners('warning')
    const text = readFileSync(path, 'utf8')
    this.#require = createRequire(path)
    this.#script = new Script(`(function (require, module, exports) {${text}\n})`, {
      filename: path,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })
    showPlaces(path, text)
    for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, (error) => this.#stray(error))
  }

  /** Loads everything anew: nothing that went before is left in it. */
  load() {
    this.#copy?.vitest.vi.unstubAllEnvs()
    this.#copy?.vitest.vi.restoreAllMocks()
    this.#copy = collectTests()
    const { vitest } = this.#copy
    this.#script.runInThisContext()((name) => (name === 'vitest' ? vitest : this.#require(name)), { exports: {} }, {})
  }

  get ids() {
    return [...this.#copy.tests.keys()]
  }

  /** Runs one test, and tells how it failed: `failed`, or it does not end, having `idled`, or gone `round` for ever. */
  async run(id) {
    const { brokenOff } = this.#watchdog
    const usual = this.times[id] ?? 10_000
    const copy = this.#copy
    let timer
    const failure = await new Promise((resolve) => {
      this.#stray = (error) => resolve({ how: 'failed', isStray: true, message: String(error) })
      const sinceStart = new Ticks()
      timer = setInterval(() => {
        this.#watchdog.beat()
        sinceStart.tick()
        if (this.#watchdog.brokenOff > brokenOff) resolve({ how: 'round', message: 'goes round for ever' })
        // Where nothing happens any more, nothing will; the limit of the other kind is for what keeps itself busy.
        if (sinceStart.idle > 3 + (3 * usual) / TICK_MILLIS) resolve({ how: 'idled', message: 'waits for ever' })
        if (sinceStart.all > 60 + (10 * usual) / TICK_MILLIS) resolve({ how: 'round', message: 'goes on for ever' })
      }, TICK_MILLIS)
      // Not called from here: what is broken off takes along whoever called it.
      queueMicrotask(() => {
        copy
          .run(copy.tests.get(id))
          .then(resolve, (error) => resolve({ how: 'failed', message: String(error?.message ?? error) }))
      })
    })
    clearInterval(timer)
    this.#watchdog.beat()
    this.#stray = () => undefined
    // What it has left behind, warnings for one, happens before the next one begins; more of it where it has failed.
    for (let turns = failure === undefined ? 1 : 3; turns > 0; turns--) await turn()
    return failure
  }
}

/** Stacks name the file that a line of the bundle comes from: some tests look for their own. */
function showPlaces(path, text) {
  // The bundler writes a comment with its name in front of each file.
  let file
  const files = text.split('\n').map((line) => (file = /^\/\/ (\S+\.ts)$/.exec(line)?.[1] ?? file))
  Error.prepareStackTrace = (error, sites) =>
    [String(error), ...sites.map((site) => `    at ${String(site)}`)]
      .join('\n')
      .replaceAll(`${path}:`, `${path}#`)
      .replaceAll(/[^(\s]*#(\d+)/g, (place, line) => `${files[line - 1] ?? place}:${line}`)
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Counted in turns of the event loop, not in time: who shares the machine may be kept waiting for long. */
class Ticks {
  all = 0
  idle = 0
  #last = performance.eventLoopUtilization()

  tick() {
    const now = performance.eventLoopUtilization()
    const { active } = performance.eventLoopUtilization(now, this.#last)
    this.#last = now
    this.all++
    this.idle = active < 2 ? this.idle + 1 : 0
  }
}
