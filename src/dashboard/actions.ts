import { coreOf, sizedPartOf, type ManagedPool, type Steering } from '../core/managed-pool.ts'
import type { ActionAnswer, ActionName, ActionRequest, Sizes } from './protocol.ts'

const METHODS: Readonly<Record<ActionName, keyof Steering>> = {
  resize: 'resize',
  suspend: 'suspend',
  resume: 'resume',
  invalidate: 'invalidate',
  kill: 'takeAway',
}

/** What can be done to a pool. */
export function actionsOf(pool: ManagedPool): ActionName[] {
  const target = coreOf(pool)
  return (Object.keys(METHODS) as ActionName[]).filter((action) => typeof target[METHODS[action]] === 'function')
}

/** The sizes that `resize` changes. Of a pool that consists of several they are those of each part. */
export function sizesOf(pool: ManagedPool): Sizes {
  const { options } = coreOf(pool) as { readonly options?: { readonly min?: unknown; readonly max?: unknown } }
  const { min, max } = { ...sizedPartOf(pool).stats(), ...numbersOf({ min: options?.min, max: options?.max }) }
  return { min, max: max === Infinity ? null : max }
}

export const isAction = (name: string): name is ActionName => Object.hasOwn(METHODS, name)

/** The request that a body holds, if it is one. */
export function readAction(body: unknown): ActionRequest | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { key, action, part, min, max, resourceId } = body as Record<string, unknown>
  if (typeof key !== 'string' || typeof action !== 'string' || !isAction(action)) return undefined
  return { key, action, ...(typeof part === 'string' ? { part } : {}), ...numbersOf({ min, max, resourceId }) }
}

function numbersOf<N extends string>(values: Readonly<Record<N, unknown>>): Partial<Record<N, number>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === 'number')) as never
}

/** Does it, and says in one sentence what happened. */
export function act(pool: ManagedPool, { action, min, max, resourceId, part }: ActionRequest): ActionAnswer {
  const target = coreOf(pool)
  if (typeof target[METHODS[action]] !== 'function') return no(`This pool cannot ${action}.`)
  try {
    switch (action) {
      case 'resize': {
        target.resize?.(numbersOf({ min, max }))
        const sizes = sizesOf(pool)
        return yes(`The sizes are now min ${sizes.min} and max ${sizes.max ?? 'without limit'}.`)
      }
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
        return target.takeAway?.(resourceId, part) === true
          ? yes(`Connection ${resourceId}${of(part)} was taken away.`)
          : no(`Nobody holds connection ${resourceId}${of(part)} any more.`)
    }
  } catch (error) {
    // Of ours: it quotes an option and its value.
    return no(error instanceof Error ? error.message : 'It failed.')
  }
}

const of = (part: string | undefined): string => (part === undefined ? '' : ` of ${part}`)
const yes = (message: string): ActionAnswer => ({ ok: true, message })
const no = (message: string): ActionAnswer => ({ ok: false, message })
