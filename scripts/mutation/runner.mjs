// Stryker's runner for the engine: every mutant in one process, in the tests that reach it, the quickest first.
import { declareClassPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin'
import { DryRunStatus, MutantRunStatus, TestStatus } from '@stryker-mutator/api/test-runner'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { TestFile } from './test-file.mjs'

const KEPT_KILLERS = 8
/** Most tests take a millisecond or two. */
const QUICK_MILLIS = 50
/** For a first look: slower ones are left out. */
const SLOWEST_MILLIS = Number(process.env['MUTATION_SLOWEST_TEST'] ?? Infinity)

class EngineTestRunner {
  #tests
  #timesFile = resolve('coverage/engine-test-times.json')
  /** Which mutant runs, for the worker that takes over where one has taken this process down. */
  #runningFile = resolve('coverage/engine-running-mutant')
  /** The tests that noticed something last: what they look at is probably what is changed next. */
  #killers = []

  capabilities() {
    return { reloadEnvironment: true }
  }

  init() {
    this.#tests = new TestFile(resolve('coverage/engine.test.cjs'))
    // Of a worker before this one.
    this.#tests.times = JSON.parse(readIfThere(this.#timesFile) ?? '{}')
    this.#load()
  }

  async dryRun() {
    const results = []
    for (const id of this.#tests.ids) {
      const startedAt = performance.now()
      stryker().currentTestId = id
      const failure = await this.#tests.run(id)
      stryker().currentTestId = undefined
      const timeSpentMs = performance.now() - startedAt
      this.#tests.times[id] = timeSpentMs
      results.push({
        id,
        name: id,
        timeSpentMs,
        ...(failure === undefined
          ? { status: TestStatus.Success }
          : { status: TestStatus.Failed, failureMessage: failure.message }),
      })
    }
    writeFileSync(this.#timesFile, JSON.stringify(this.#tests.times, undefined, 1))
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage: stryker().mutantCoverage }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation, reloadEnvironment }) {
    const mutant = activeMutant.id
    if (readIfThere(this.#runningFile) === mutant)
      return { status: MutantRunStatus.Timeout, reason: 'took the process of the tests down' }
    writeFileSync(this.#runningFile, mutant)
    Object.assign(stryker(), { hitCount: 0, hitLimit })
    if (reloadEnvironment) this.#load(mutantActivation === 'static' ? mutant : undefined)
    let nrOfTests = 0
    let outcome
    for (const id of this.#inOrder(testFilter ?? this.#tests.ids)) {
      nrOfTests++
      let failure = await this.#runWith(mutant, id)
      if (failure !== undefined && this.#isDoubtful(failure, id)) {
        this.#load(mutantActivation === 'static' ? mutant : undefined)
        failure = await this.#runWith(mutant, id)
      }
      if (failure === undefined) continue
      if (failure.how === 'failed')
        this.#killers = [id, ...this.#killers.filter((other) => other !== id)].slice(0, KEPT_KILLERS)
      outcome = outcomeOf(failure, id)
      break
    }
    // Whatever failed has left things in disorder.
    if (reloadEnvironment || outcome !== undefined) this.#load()
    rmSync(this.#runningFile)
    return { status: MutantRunStatus.Survived, ...outcome, nrOfTests }
  }

  /**
   * What nobody awaited may come from what an earlier mutant has left behind; and who waits for something outside of this
   * process may wait longer on a busy machine.
   */
  #isDoubtful({ how, isStray }, id) {
    return isStray || (how === 'idled' && this.#tests.times[id] > QUICK_MILLIS)
  }

  /** A child process that a test starts has the mutant, too. */
  async #runWith(mutant, id) {
    stryker().activeMutant = mutant
    process.env.__STRYKER_ACTIVE_MUTANT__ = mutant
    const failure = await this.#tests.run(id)
    stryker().activeMutant = undefined
    delete process.env.__STRYKER_ACTIVE_MUTANT__
    return failure
  }

  /** Everything anew; with a mutant, if it is to change what happens while the files are loaded. */
  #load(mutant) {
    stryker().activeMutant = mutant
    this.#tests.load()
    stryker().activeMutant = undefined
  }

  #inOrder(ids) {
    const { times } = this.#tests
    const rank = (id) => (this.#killers.includes(id) ? Math.min(times[id], 5) : times[id])
    return ids.filter((id) => times[id] <= SLOWEST_MILLIS).sort((one, other) => rank(one) - rank(other))
  }
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function outcomeOf({ how, message }, id) {
  const { hitCount, hitLimit } = stryker()
  if (hitCount > hitLimit) return { status: MutantRunStatus.Timeout, reason: `goes round for ever: ${id}` }
  if (how !== 'failed') return { status: MutantRunStatus.Timeout, reason: `${message}: ${id}` }
  return { status: MutantRunStatus.Killed, killedBy: [id], failureMessage: message }
}

/** What the instrumented engine reads and writes. */
function stryker() {
  return (globalThis.__stryker__ ??= {})
}

EngineTestRunner.inject = tokens()

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'engine', EngineTestRunner)]
