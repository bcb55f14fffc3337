import { createServer, type AddressInfo } from 'node:net'

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  return port
}

/** Resolves after that many milliseconds. */
export async function sleep(millis: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, millis)
  })
}

export interface WaitOptions {
  readonly what: string
  /** @defaultValue 30_000 */
  readonly timeoutMillis?: number
  /** @defaultValue 10 */
  readonly everyMillis?: number
  /** What makes it useless to wait on: a server that has ended will not answer. Gives what to say. */
  readonly unless?: () => string | false
}

/** Asks again and again until the answer is neither false nor undefined; an error counts as "not yet". */
export async function waitFor<R>(
  ask: () => R | Promise<R>,
  { what, timeoutMillis = 30_000, everyMillis = 10, unless }: WaitOptions,
): Promise<Exclude<R, false | undefined>> {
  const until = performance.now() + timeoutMillis
  let lastError: unknown
  for (;;) {
    const hopeless = unless?.() ?? false
    if (hopeless !== false) throw new Error(hopeless)
    try {
      const answer = await ask()
      if (answer !== false && answer !== undefined) return answer as Exclude<R, false | undefined>
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    if (performance.now() >= until) {
      throw new Error(
        `${what}: not within ${timeoutMillis} ms`,
        lastError === undefined ? undefined : { cause: lastError },
      )
    }
    await sleep(everyMillis)
  }
}

/**
 * Starts a server that a machine may not have. Where it cannot be started: loudly nothing on a laptop, so that the
 * tests that need it are skipped; an error when `CI=true`, where nothing may be skipped.
 *
 * ```ts
 * const postgres = await tryStart('PostgreSQL', () => startPostgres())
 * describe.skipIf(postgres === undefined)('…', () => { … })
 * ```
 */
export async function tryStart<S>(what: string, start: () => Promise<S>): Promise<S | undefined> {
  try {
    return await start()
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.warn(
      `\n  ⚠ ${what} cannot be started here, its tests are SKIPPED: ${error instanceof Error ? error.message : String(error)}\n`,
    )
    return undefined
  }
}
