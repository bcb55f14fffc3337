import type { SlowOperation } from '../../core/events.ts'
import type { CommandEvent, DriverClient } from './driver.ts'

const LONGEST_TEXT = 1_000

/** Fields that say nothing about the command. */
const ROUTINE = new Set([
  'lsid',
  '$db',
  '$clusterTime',
  '$readPreference',
  'txnNumber',
  'autocommit',
  'startTransaction',
])

export interface SlowWatcher {
  readonly slowMillis: number
  /** Whether anybody would hear of a slow command. */
  heard(): boolean
  /** How long its connection was waited for. */
  waitOf(event: CommandEvent): number
  tell(slow: Omit<SlowOperation, 'pool' | 'label'>): void
}

/**
 * Announces slow commands, where the client was made with `monitorCommands`. The driver makes an event for every
 * command then, whether anybody listens or not; here, only those who listen pay more.
 */
export class SlowCommands {
  readonly #watcher: SlowWatcher
  readonly #running = new Map<number, CommandEvent>()
  /** Cursors on what changes: their reads wait on purpose. */
  readonly #streams = new Set<string>()
  readonly stop: () => void

  constructor(client: DriverClient, watcher: SlowWatcher) {
    this.#watcher = watcher
    const isOn = client.options.monitorCommands === true && watcher.slowMillis !== Infinity
    this.stop = isOn ? this.#listen(client) : () => undefined
  }

  #listen(client: DriverClient): () => void {
    const handlers = {
      commandStarted: (event: CommandEvent) => {
        if (this.#watcher.heard()) this.#running.set(event.requestId, event)
      },
      commandSucceeded: (event: CommandEvent) => this.#ended(event, false),
      commandFailed: (event: CommandEvent) => this.#ended(event, true),
    }
    for (const [event, handler] of Object.entries(handlers)) client.on(event, handler)
    return () => {
      for (const [event, handler] of Object.entries(handlers)) client.off(event, handler)
      this.#running.clear()
    }
  }

  #ended(event: CommandEvent, failed: boolean): void {
    if (this.#running.size === 0) return
    const started = this.#running.get(event.requestId)
    this.#running.delete(event.requestId)
    if (started === undefined || this.#waitsOnPurpose(started, event)) return
    const useMillis = event.duration ?? 0
    const waitMillis = this.#watcher.waitOf(started)
    if (waitMillis + useMillis < this.#watcher.slowMillis) return
    this.#watcher.tell({ operation: textOf(started), waitMillis, useMillis, failed })
  }

  #waitsOnPurpose({ commandName, command = {} }: CommandEvent, { reply }: CommandEvent): boolean {
    if (commandName === 'getMore') {
      const id = String(command['getMore'])
      const isStream = this.#streams.has(id)
      if (isStream && cursorIdOf(reply) === '0') this.#streams.delete(id)
      return isStream
    }
    if (commandName === 'killCursors')
      for (const id of (command['cursors'] ?? []) as unknown[]) this.#streams.delete(String(id))
    const [first] = (command['pipeline'] ?? []) as readonly object[]
    const waits = command['awaitData'] === true || (first !== undefined && '$changeStream' in first)
    const id = waits ? cursorIdOf(reply) : undefined
    if (id !== undefined && id !== '0') this.#streams.add(id)
    return false
  }
}

function cursorIdOf(reply: unknown): string | undefined {
  const { cursor } = (reply ?? {}) as { readonly cursor?: { readonly id?: { toString(): string } } }
  return cursor?.id?.toString()
}

/** `find shop.books { filter: { title: ?, stock: { $gt: ? } } }`: what was asked for, without the values. */
function textOf({ commandName, databaseName = '', command = {} }: CommandEvent): string {
  const target = command[commandName]
  const where = typeof target === 'string' ? `${databaseName}.${target}` : databaseName
  const rest = Object.entries(command).filter(([key]) => key !== commandName && !ROUTINE.has(key))
  const shape = rest.length === 0 ? '' : ` ${shapeOf(Object.fromEntries(rest), 0)}`
  return `${commandName} ${where}${shape}`.slice(0, LONGEST_TEXT)
}

function shapeOf(value: unknown, depth: number): string {
  if (depth > 6 || value === null || typeof value !== 'object') return '?'
  // The driver keeps a sort as a Map.
  if (value instanceof Map) return shapeOf(Object.fromEntries(value as Map<string, unknown>), depth)
  // An update with a thousand documents is told by its first.
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[${shapeOf(value[0], depth + 1)}${value.length > 1 ? `, … ${value.length} in all` : ''}]`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return '?'
  const fields = Object.entries(value).map(([key, each]) => `${key}: ${shapeOf(each, depth + 1)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}
