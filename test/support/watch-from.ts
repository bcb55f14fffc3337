import type { PoolEventName } from 'millpond'

export interface Watch {
  looks: number
  /** What was not so, and when. */
  readonly failures: string[]
  /** Looks, and notes what is thrown. */
  look(when: string, check: () => void): void
}

/** Checks that nobody hears fail where they are made, since what calls them survives all that they throw. */
export function makeWatch(): Watch {
  const failures: string[] = []
  return {
    looks: 0,
    failures,
    look(when, check) {
      this.looks++
      try {
        check()
      } catch (error) {
        failures.push(`${when}: ${(error as Error).message}`)
      }
    },
  }
}

/** Checks at every one of these events. Expect `failures` to be empty in the end: a listener breaks no pool, and no test. */
export function watchFrom(
  pool: { on(event: PoolEventName, listener: () => void): unknown },
  events: readonly PoolEventName[],
  check: (event: PoolEventName) => void,
): Watch {
  const watch = makeWatch()
  for (const event of events) pool.on(event, () => watch.look(`at '${event}'`, () => check(event)))
  return watch
}
