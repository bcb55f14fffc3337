import { getEventListeners, type EventEmitter } from 'node:events'
import { getHeapCodeStatistics } from 'node:v8'

/** What is there while nothing is under way and nothing is open. */
export interface Rest {
  readonly minute: number
  /** Calls made until then. */
  readonly calls: number
  /** Without the code that the engine of the language has compiled, which goes on growing for an hour. */
  readonly heapMegabytes: number
  readonly codeMegabytes: number
  /** Handles and timers that keep the process alive, sockets among them, by kind. */
  readonly resources: Readonly<Record<string, number>>
  /** By what they are on. */
  readonly listeners: Readonly<Record<'process' | 'pool' | 'shared signal' | 'client' | 'socket', number>>
}

/** Any run may grow by this from its first rest on: what the compiler keeps beside its code comes to a third of it. */
const MOST_GROWTH_MEGABYTES = 1.5
const MOST_MEGABYTES_PER_HOUR = 1
/** From how long a time a rate can be told. */
const LEAST_MINUTES_FOR_A_RATE = 20

export function listenersOf(emitter: Pick<EventEmitter, 'eventNames' | 'listenerCount'>): number {
  return emitter.eventNames().reduce((sum, event) => sum + emitter.listenerCount(event), 0)
}

export function listenersOfSignal(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

export function heapNow(): Pick<Rest, 'heapMegabytes' | 'codeMegabytes'> {
  globalThis.gc?.()
  globalThis.gc?.()
  const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics()
  const codeMegabytes = (code + bytecode) / 2 ** 20
  return { heapMegabytes: process.memoryUsage().heapUsed / 2 ** 20 - codeMegabytes, codeMegabytes }
}

export function resourcesNow(): Record<string, number> {
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  return resources
}

/** What has grown from rest to rest. */
export function whatGrew(rests: readonly Rest[]): string[] {
  const [first, ...later] = rests
  if (first === undefined) return []
  const problems: string[] = []
  for (const { resources, listeners, minute } of later) {
    const at = `minute ${minute.toFixed(1)}:`
    for (const [kind, now] of Object.entries(resources)) {
      const before = first.resources[kind] ?? 0
      // Timers of this program itself come and go by one or two.
      if (now - before > (kind === 'Timeout' || kind === 'Immediate' ? 2 : 0))
        problems.push(`${at} ${now} ${kind} at rest, ${before} at first`)
    }
    for (const [on, now] of Object.entries(listeners)) {
      const before = first.listeners[on as keyof typeof listeners]
      if (now > before) problems.push(`${at} ${now} listeners of the ${on}, ${before} at first`)
    }
  }
  const last = later.at(-1)
  if (last === undefined) return problems
  // The smaller of the last two, where there are two: one of them alone may be a moment of the collector's.
  const heapAtLast = Math.min(...later.slice(-2).map(({ heapMegabytes }) => heapMegabytes))
  const growth = heapAtLast - first.heapMegabytes
  if (growth > MOST_GROWTH_MEGABYTES)
    problems.push(`the heap has grown by ${growth.toFixed(2)} MB in ${last.calls - first.calls} calls`)
  const rate = heapMegabytesPerHour(rests)
  if (last.minute - first.minute >= LEAST_MINUTES_FOR_A_RATE && rate >= MOST_MEGABYTES_PER_HOUR)
    problems.push(`the heap grows by ${rate.toFixed(2)} MB an hour`)
  return problems
}

/** Least squares, the first quarter left out as warm-up. */
export function heapMegabytesPerHour(rests: readonly Rest[]): number {
  const points = rests.slice(Math.floor(rests.length / 4))
  const meanX = points.reduce((sum, { minute }) => sum + minute, 0) / points.length
  const meanY = points.reduce((sum, { heapMegabytes }) => sum + heapMegabytes, 0) / points.length
  const above = points.reduce((sum, { minute, heapMegabytes }) => sum + (minute - meanX) * (heapMegabytes - meanY), 0)
  const below = points.reduce((sum, { minute }) => sum + (minute - meanX) ** 2, 0)
  return below === 0 ? 0 : (above / below) * 60
}
