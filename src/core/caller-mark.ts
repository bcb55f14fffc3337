import { newRequest, type Request } from './request.ts'

/**
 * Reads something of a caller who must wait, in that caller's own async context, which is out of reach by the time that
 * the wait is over: the span that is active there. What was read comes with what is told of the wait, as `caller`.
 */
export interface CallerReader {
  /** Called when a wait begins; undefined where there is nothing to remember. */
  readonly read: () => unknown
  /** From when on the end of such a wait is told of as a `waited` event, in milliseconds; `Infinity` never. */
  readonly fromMillis: number
}

interface Readers {
  readonly all: readonly CallerReader[]
  /** The one that reads. */
  readonly current: CallerReader | undefined
  /** The shortest that any of them asks for. */
  readonly fromMillis: number
}

// One list for the process, also for another copy of this package: the context is the process's, not a pool's.
const READERS = Symbol.for('millpond.callerReaders')
const shared = globalThis as { [READERS]?: Readers }

function change(by: (all: readonly CallerReader[]) => readonly CallerReader[]): void {
  const all = by(shared[READERS]?.all ?? [])
  const fromMillis = Math.min(Infinity, ...all.map((reader) => reader.fromMillis))
  shared[READERS] = { all, current: all.at(-1), fromMillis }
}

/** Has all callers who must wait be read from now on; returns what ends it. Where there are several, the last one reads. */
export function readCallers(reader: CallerReader): () => void {
  change((all) => [...all, reader])
  return () => change((all) => all.filter((other) => other !== reader))
}

/** Whether a wait of that length is told of. */
export function isTold(waitMillis: number): boolean {
  return waitMillis >= (shared[READERS]?.fromMillis ?? Infinity)
}

/** What a caller waits with: the request, with what was read of the caller. Called in the caller's async context. */
export function marked(request: Request | undefined): Request | undefined {
  const reader = shared[READERS]?.current
  if (reader === undefined) return request
  const caller = readSafely(reader)
  if (caller === undefined) return request
  if (request === undefined) return newRequest({ caller })
  request.caller = caller
  return request
}

/** A reader that throws has read nothing: it must not fail an acquire. */
function readSafely({ read }: CallerReader): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}
