import type { ManagedPool } from '../core/managed-pool.ts'
import type { ActionAnswer, ActionName, ActionRequest } from './protocol.ts'

/** What a pool of the engine, or a face before one, lets others do. Views on foreign pools have none of it. */
interface Steerable {
  resize?(sizes: { min?: number; max?: number }): void
  suspend?(): void
  resume?(): void
  invalidate?(options: { reason: string }): void
  takeAway?(resourceId: number): boolean
}

const METHODS: Readonly<Record<ActionName, keyof Steerable>> = {
  resize: 'resize',
  suspend: 'suspend',
  resume: 'resume',
  invalidate: 'invalidate',
  kill: 'takeAway',
}

const steerable = (pool: ManagedPool): Steerable => (pool.core ?? pool) as Steerable

/** What can be done to a pool. */
export function actionsOf(pool: ManagedPool): ActionName[] {
  const target = steerable(pool)
  return (Object.keys(METHODS) as ActionName[]).filter((action) => typeof target[METHODS[action]] === 'function')
}

export const isAction = (name: string): name is ActionName => Object.hasOwn(METHODS, name)

/** The request that a body holds, if it is one. */
export function readAction(body: unknown): ActionRequest | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { key, action, min, max, resourceId } = body as Record<string, unknown>
  if (typeof key !== 'string' || typeof action !== 'string' || !isAction(action)) return undefined
  const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
  return {
    key,
    action,
    ...definedOf({ min: number(min), max: number(max), resourceId: number(resourceId) }),
  }
}

function definedOf<R extends object>(values: R): { [K in keyof R]: Exclude<R[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

/** Does it, and says in one sentence what happened. */
export function act(pool: ManagedPool, { action, min, max, resourceId }: ActionRequest): ActionAnswer {
  const target = steerable(pool)
  if (typeof target[METHODS[action]] !== 'function') return no(`This pool cannot ${action}.`)
  try {
    switch (action) {
      case 'resize':
        target.resize?.(definedOf({ min, max }))
        return yes(`The sizes are now min ${pool.stats().min} and max ${pool.stats().max}.`)
      case 'suspend':
        target.suspend?.()
        return yes('Nobody gets a connection until it is resumed.')
      case 'resume':
        target.resume?.()
        return yes('It hands out connections again.')
      case 'invalidate':
        target.invalidate?.({ reason: 'dashboard' })
        return yes('Idle connections are closed; used ones follow when they are released.')
      case 'kill':
        if (resourceId === undefined) return no('Expected `resourceId`, the connection to take away.')
        return target.takeAway?.(resourceId) === true
          ? yes(`Connection ${resourceId} was taken away.`)
          : no(`Nobody holds connection ${resourceId} any more.`)
    }
  } catch (error) {
    // Of ours: it quotes an option and its value.
    return no(error instanceof Error ? error.message : 'It failed.')
  }
}

const yes = (message: string): ActionAnswer => ({ ok: true, message })
const no = (message: string): ActionAnswer => ({ ok: false, message })
