import { sleep, type FaultProxy } from '@millpond/rig'
import type { Load } from './child.mjs'
import type { Backend } from './backends.ts'

/** Where a fault happens. */
export interface Stage {
  readonly backend: Backend
  readonly proxy: FaultProxy
  /** Has the callers come otherwise from now on. */
  load(load: Load): void
}

export interface Fault {
  /** How long it lasts. */
  readonly millis: number
  /** Connections of the pool. @defaultValue 10 */
  readonly max?: number
  /** How many connections the server grants the pool, from the start on. @defaultValue as many as it asks for */
  readonly granted?: number
  /** A time-out of the driver for every statement. @defaultValue none */
  readonly statementMillis?: number
  /** Idle connections hear that they have ended. @defaultValue false */
  readonly ends?: boolean
  begin(stage: Stage): unknown
  end(stage: Stage): unknown
}

/** A hundred times a second, one statement that takes no time. */
export const STEADY: Load = { everyMillis: 10, calls: 1, sleepMillis: 0 }

const FORGOTTEN: Fault = {
  millis: 4_000,
  async begin({ proxy, load }) {
    load({ ...STEADY, calls: 0 })
    // Whoever still asks must have an answer before there are none.
    await sleep(300)
    for (const connection of proxy.connections) connection.blackHole()
  },
  end: ({ load }) => load(STEADY),
}

/** What ends a fault is that the cause is gone: no connection is ended or reset for the pools' sake. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  'server killed, back after 4 s': {
    millis: 4_000,
    ends: true,
    begin: ({ backend }) => backend.kill(),
    end: ({ backend }) => backend.start(),
  },
  'server frozen for 4 s': {
    millis: 4_000,
    begin: ({ backend }) => backend.pause(),
    end: ({ backend }) => backend.resume(),
  },
  // What was sent meanwhile arrives then, as TCP sends it again.
  'black hole for 4 s': {
    millis: 4_000,
    begin: ({ proxy }) => proxy.blackHole(),
    end: ({ proxy }) => proxy.set({}),
  },
  'nobody asks for 4 s, a gateway forgets every connection': FORGOTTEN,
  'the same, where statements have a time-out of 1 s': { ...FORGOTTEN, statementMillis: 1_000 },
  'one connection of twenty falls silent, statements have a time-out of 1 s': {
    millis: 0,
    max: 20,
    statementMillis: 1_000,
    begin({ proxy, load }) {
      // Twenty at once, so that somebody meets it.
      load({ everyMillis: 200, calls: 20, sleepMillis: 10 })
      proxy.connections[7]?.blackHole()
    },
    end: () => undefined,
  },
  'every connection reset': {
    millis: 0,
    ends: true,
    begin: ({ proxy }) => proxy.cutAll('reset'),
    end: () => undefined,
  },
  'every connection reset, connects get no answer for 4 s': {
    millis: 4_000,
    async begin({ proxy }) {
      await proxy.set({ connect: 'silence' })
      proxy.cutAll('reset')
    },
    end: ({ proxy }) => proxy.set({}),
  },
  'every connection reset, connects take 1 s for 4 s': {
    millis: 4_000,
    async begin({ proxy }) {
      await proxy.set({ connectDelayMillis: 1_000 })
      proxy.cutAll('reset')
    },
    end: ({ proxy }) => proxy.set({}),
  },
  'server full: it grants 5 of 10, bursts of 10 for 4 s': {
    millis: 4_000,
    granted: 5,
    begin: ({ load }) => load({ everyMillis: 400, calls: 10, sleepMillis: 50 }),
    end: ({ load }) => load(STEADY),
  },
  'one connection terminated': {
    millis: 0,
    ends: true,
    begin: ({ backend }) => backend.terminateOne(),
    end: () => undefined,
  },
}
