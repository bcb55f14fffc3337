import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { Pool, type Lease, type PoolEventName, type PoolEvents, type PoolOptions } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { watchInvariants } from '../support/invariants.ts'
import type { FailureClass } from 'millpond'

/**
 * A scenario: what is done to a pool, step by step, and what must then be seen. Any pool could be run by it.
 *
 * Steps are `{ verb: argument }`; see `STEPS` below. A create, validation or reset succeeds at once unless `hold` has
 * it wait for `open` or `fail`. Time stands still but for `advance`, `stall` and `freeze`.
 */
export interface Scenario {
  readonly scenario: string
  readonly pool?: PoolOptions<FakeResource>
  readonly factory?: { readonly validates?: boolean; readonly resets?: boolean }
  readonly steps: readonly Readonly<Record<string, unknown>>[]
}

export function readScenarios(file: URL): Scenario[] {
  return parse(readFileSync(file, 'utf8')) as Scenario[]
}

type Held = 'create' | 'validate' | 'reset'

interface Gate {
  open(): void
  fail(error: unknown): void
}

interface Caller {
  lease: Lease<FakeResource> | undefined
  outcome: string | undefined
  readonly abort: AbortController
}

class Run {
  readonly clock = new ManualClock()
  readonly factory: FakeFactory
  readonly pool: Pool<FakeResource>
  readonly callers = new Map<string, Caller>()
  readonly events: string[] = []
  readonly gates: Record<Held, Gate[]> = { create: [], validate: [], reset: [] }
  readonly held = new Set<Held>()
  readonly watch: { failure: Error | undefined }
  closed: Promise<unknown> | undefined

  constructor({ pool = {}, factory = {} }: Scenario) {
    this.factory = new FakeFactory(factory)
    this.factory.onCreate = () => this.#pass('create')
    this.factory.onValidate = () => this.#pass('validate')
    this.factory.onReset = () => this.#pass('reset')
    this.pool = new Pool(this.factory, { clock: this.clock, random: () => 0.5, reclaimAbandoned: false, ...pool })
    this.watch = watchInvariants(this.pool)
    this.pool.on('failure', () => undefined)
  }

  async #pass(step: Held): Promise<void> {
    if (!this.held.has(step)) return
    await new Promise<void>((resolve, reject) => this.gates[step].push({ open: resolve, fail: reject }))
  }

  caller(name: string): Caller {
    const caller = this.callers.get(name)
    if (caller === undefined) throw new Error(`the scenario knows no caller "${name}"`)
    return caller
  }
}

type Step = (run: Run, argument: never) => unknown

/** The verbs of scenarios. */
const STEPS: Readonly<Record<string, Step>> = {
  /** `acquire: A` or `acquire: { as: A, timeoutMillis, priority }` */
  acquire(run, argument: string | { as: string; timeoutMillis?: number; priority?: number }) {
    const { as, ...options } = typeof argument === 'string' ? { as: argument } : argument
    const caller: Caller = { lease: undefined, outcome: undefined, abort: new AbortController() }
    run.callers.set(as, caller)
    run.pool.acquire({ ...options, label: as, signal: caller.abort.signal }).then(
      (lease) => {
        caller.lease = lease
        caller.outcome = `resource ${lease.resource.id}`
      },
      (error: { code?: string; message: string }) => {
        caller.outcome = error.code ?? error.message
      },
    )
  },
  release: (run, name: string) => run.caller(name).lease?.release(),
  /** `releaseWith: { by: A, error: disconnect }` */
  releaseWith: (run, { by, error }: { by: string; error: FailureClass }) =>
    run.caller(by).lease?.release(new FakeError(error)),
  destroy: (run, name: string) => run.caller(name).lease?.destroy(),
  /** A release that must be refused. */
  staleRelease: (run, name: string) => expect(() => run.caller(name).lease?.release()).toThrow(/lease/),
  abort: (run, name: string) => run.caller(name).abort.abort(new Error('aborted')),
  hold: (run, step: Held) => run.held.add(step),
  unhold: (run, step: Held) => run.held.delete(step),
  /** `open: create` ends the oldest held step of that kind. */
  open: (run, step: Held) => run.gates[step].shift()?.open(),
  /** `fail: { step: create, with: disconnect }` */
  fail: (run, { step, with: failure }: { step: Held; with: FailureClass }) =>
    run.gates[step].shift()?.fail(new FakeError(failure)),
  die: (run, id: number) => run.factory.resources.find((resource) => resource.id === id)?.die(),
  advance: (run, millis: number) => run.clock.advance(millis),
  stall: (run, millis: number) => run.clock.stall(millis),
  freeze: (run, millis: number) => run.clock.freeze(millis),
  invalidate: (run, options: object | null) => run.pool.invalidate(options ?? {}),
  suspend: (run) => run.pool.suspend(),
  resume: (run) => run.pool.resume(),
  resize: (run, sizes: { min?: number; max?: number }) => run.pool.resize(sizes),
  close(run, options: object | null) {
    run.closed = run.pool.close(options ?? {})
  },
  /** Notes events of these names, to be compared by `events`. */
  listen(run, names: readonly PoolEventName[]) {
    for (const name of names)
      run.pool.on(name, (event: PoolEvents[PoolEventName]) =>
        run.events.push('reason' in event ? `${name} ${event.reason}` : name),
      )
  },
  /** What was heard since the last look. */
  events: (run, expected: readonly string[]) => expect(run.events.splice(0)).toEqual(expected),
  /** `outcomes: { A: resource 1, B: waiting, C: ERR_POOL_… }` */
  outcomes(run, expected: Readonly<Record<string, string>>) {
    const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, run.caller(name).outcome ?? 'waiting']))
    expect(seen).toEqual(expected)
  },
  stats: (run, expected: object) => expect(run.pool.stats()).toMatchObject(expected),
  held: (run, expected: Readonly<Record<Held, number>>) => {
    for (const [step, count] of Object.entries(expected)) expect(run.gates[step as Held].length, step).toBe(count)
  },
  state: (run, expected: string) => expect(run.pool.state).toBe(expected),
}

/** Runs a scenario, and sees to it that it leaves nothing. */
export async function play(scenario: Scenario): Promise<void> {
  const run = new Run(scenario)
  for (const [index, step] of scenario.steps.entries()) {
    const [verb = '', argument] = Object.entries(step)[0] ?? []
    const action = STEPS[verb]
    if (action === undefined) throw new Error(`step ${index + 1}: there is no verb "${verb}"`)
    try {
      await action(run, argument as never)
      await run.clock.settle()
      if (run.watch.failure !== undefined) throw run.watch.failure
    } catch (error) {
      throw new Error(`step ${index + 1}, ${JSON.stringify(step)}: ${(error as Error).message}`, { cause: error })
    }
  }
  run.held.clear()
  const closed = run.pool.close({ timeoutMillis: 10, waiters: 'reject' })
  await run.clock.advance(5_000)
  for (const gates of Object.values(run.gates)) for (const gate of gates.splice(0)) gate.open()
  await run.clock.advance(20_000)
  await closed
  expect(run.factory.open).toBe(0)
  expect(run.clock.pendingTimers).toBe(0)
}
