type Told = 'uncaughtException' | 'unhandledRejection'

/** Counts exceptions (or rejections) that nobody caught, in place of the runner, which would end the test for them. */
export function watchUncaught(told: Told = 'uncaughtException'): { readonly errors: unknown[]; stop(): void } {
  const errors: unknown[] = []
  const before = process.rawListeners(told)
  const note = (error: unknown): void => {
    errors.push(error)
  }
  process.removeAllListeners(told).on(told, note)
  return {
    errors,
    stop() {
      process.off(told, note)
      for (const listener of before) process.on(told, listener as () => void)
    },
  }
}
