/** The part of a test runner that the contracts need; Vitest, Jest and `node:test` have it. */
export interface TestApi {
  readonly describe: (name: string, body: () => void) => void
  readonly it: (name: string, body: () => Promise<void>) => void
}

/** @throws {Error} that names the part of the contract which does not hold */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`contract: ${message}`)
}
