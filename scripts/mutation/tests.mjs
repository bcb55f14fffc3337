// What the engine's tests take from vitest, for many quick runs in one process: a list of tests, and one test's run.
import { format } from 'node:util'
import { expect, vi } from 'vitest'

/** Collects the tests of a bundle that is about to be loaded: hand `vitest` to it as that module. */
export function collectTests() {
  const root = { name: '', parent: undefined, before: [], after: [] }
  const tests = new Map()
  let suite = root
  let finishing = []

  const within = (inner, body) => {
    const outer = suite
    suite = inner
    body()
    suite = outer
  }
  const describe = (name, ...rest) => within({ name, parent: suite, before: [], after: [] }, bodyOf(rest))
  const it = (name, ...rest) => {
    const title = [...lineage(suite).map((each) => each.name), name].filter(Boolean).join(' ')
    let id = title
    for (let number = 2; tests.has(id); number++) id = `${title} (${number})`
    tests.set(id, { suite, body: bodyOf(rest) })
  }
  const skip = () => undefined
  for (const add of [describe, it]) {
    add.skip = skip
    add.skipIf = (condition) => (condition ? skip : add)
    add.runIf = (condition) => (condition ? add : skip)
    add.each = (rows) => (name, body, options) => {
      for (const row of rows) {
        const values = Array.isArray(row) ? row : [row]
        add(named(name, values), () => body(...values), options)
      }
    }
  }

  const run = async ({ suite: own, body }) => {
    const suites = lineage(own)
    let failure
    finishing = []
    try {
      for (const { before } of suites) for (const hook of before) await hook()
      await body()
    } catch (error) {
      failure = { error }
    }
    const after = suites.reverse().flatMap((each) => [...each.after].reverse())
    for (const hook of [...after, ...finishing.reverse()]) {
      try {
        await hook()
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }

  return {
    tests,
    run,
    vitest: {
      describe,
      it,
      test: it,
      expect,
      vi: { ...environment(), fn: vi.fn, spyOn: vi.spyOn, mocked: vi.mocked, restoreAllMocks: vi.restoreAllMocks },
      beforeEach: (hook) => void suite.before.push(hook),
      afterEach: (hook) => void suite.after.push(hook),
      onTestFinished: (hook) => void finishing.push(hook),
      /** What follows stands in that file of tests; without a name, in what all of them share. */
      inFile: (name) => {
        suite = name === '' ? root : { name, parent: root, before: [], after: [] }
      },
    },
  }
}

/** Options may stand before it, or after. */
function bodyOf(rest) {
  return rest.find((part) => typeof part === 'function')
}

/** From the outermost inwards. */
function lineage(suite) {
  return suite === undefined ? [] : [...lineage(suite.parent), suite]
}

function named(name, values) {
  const places = name.match(/%[^%]/g)?.length ?? 0
  const [row] = values
  return format(name, ...values.slice(0, places)).replaceAll(/\$(\w+)/g, (_, key) => String(row?.[key]))
}

function environment() {
  const kept = new Map()
  const set = (name, value) => {
    if (value === undefined) Reflect.deleteProperty(process.env, name)
    else process.env[name] = value
  }
  return {
    stubEnv(name, value) {
      if (!kept.has(name)) kept.set(name, process.env[name])
      set(name, value)
    },
    unstubAllEnvs() {
      for (const [name, value] of kept) set(name, value)
      kept.clear()
    },
  }
}
