import { systemClock, type Clock } from '../core/clock.ts'

/** Exit codes of processes that a signal ended: 128 and the signal's number. */
const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGTERM: 15,
  SIGUSR2: 12,
}

/** The part of the process that is used; tests hand in their own. */
export interface ProcessLike {
  exitCode?: number | string | null | undefined
  on(signal: NodeJS.Signals, listener: () => void): unknown
  off(signal: NodeJS.Signals, listener: () => void): unknown
  exit(code?: number): unknown
}

export interface SignalOptions {
  /** What is listened to: SIGTERM is an orchestrator's word, SIGINT the Ctrl+C of a terminal. @defaultValue ['SIGTERM', 'SIGINT'] */
  signals?: readonly NodeJS.Signals[] | undefined
  /** Runs before the pools drain: stop taking new work, close the server. Its failure is reported and stops nothing. */
  before?: (() => unknown) | undefined
  /** How long after health began to fail `before` runs, for load balancers to notice, in milliseconds. @defaultValue 0 */
  readinessDelayMillis?: number | undefined
  /** How long everything together may take before the process exits in any case, in milliseconds. @defaultValue 25_000 */
  timeoutMillis?: number | undefined
  /** Whether the process exits afterwards, with 128 + the signal's number unless an exit code is set. @defaultValue true */
  exit?: boolean | undefined
  /** Who is listened to and exits; tests hand in their own. @defaultValue the process */
  process?: ProcessLike | undefined
  /** Where time comes from. @defaultValue the process's clock */
  clock?: Clock | undefined
}

interface Closable {
  markNotReady(): void
  close(options: { timeoutMillis: number }): Promise<unknown>
}

export function closeOnSignals(
  registry: Closable,
  {
    signals = ['SIGTERM', 'SIGINT'],
    before,
    readinessDelayMillis = 0,
    timeoutMillis = 25_000,
    exit = true,
    process: target = process,
    clock = systemClock,
  }: SignalOptions,
): () => void {
  let isClosing = false
  const pause = (millis: number): Promise<void> =>
    new Promise((resolve) => {
      clock.setTimer(resolve, millis)
    })
  const end = (signal: NodeJS.Signals): void => {
    if (exit) target.exit(Number(target.exitCode ?? 128 + (SIGNAL_NUMBERS[signal] ?? 0)))
  }
  const shutDown = async (signal: NodeJS.Signals): Promise<void> => {
    const deadline = clock.now() + timeoutMillis
    registry.markNotReady()
    if (readinessDelayMillis > 0) await pause(readinessDelayMillis)
    const left = (): number => Math.max(1, deadline - clock.now())
    if (before !== undefined) await Promise.race([runSafely(before), pause(left())])
    await Promise.race([registry.close({ timeoutMillis: left() }), pause(left())])
    end(signal)
  }
  const listeners = signals.map((signal) => {
    const listener = (): void => {
      if (isClosing) {
        end(signal)
        return
      }
      isClosing = true
      void shutDown(signal)
    }
    target.on(signal, listener)
    return { signal, listener }
  })
  return () => {
    for (const { signal, listener } of listeners) target.off(signal, listener)
  }
}

async function runSafely(before: () => unknown): Promise<void> {
  try {
    await before()
  } catch (error) {
    process.emitWarning(`closeOnSignals: \`before\` failed: ${String(error)}`, 'MillpondWarning')
  }
}
