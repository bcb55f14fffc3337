import type { DriverClient, DriverPool } from './driver.ts'

/**
 * What the driver does not tell by events and is read from its pools instead: what was there before anybody listened,
 * and who waits in the queue. All of it is private to the driver, so every reading may find nothing; then the events
 * alone count. Tested with the lowest and the latest driver.
 */

/** A place in the driver's queue. Its owner has given up once it is cancelled. */
export interface QueueMember {
  readonly checkoutTime?: number
  reject?(error: unknown): void
}

/** The value of a property, or of a symbol of that name, as the driver 6 has them. */
function fieldOf(object: object, name: string): unknown {
  if (name in object) return (object as Readonly<Record<string, unknown>>)[name]
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === name)
  return symbol === undefined ? undefined : (object as Readonly<Record<symbol, unknown>>)[symbol]
}

function setField(object: object, name: string, value: unknown): void {
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === name)
  ;(object as Record<string | symbol, unknown>)[symbol ?? name] = value
}

function listOf(value: unknown): unknown[] | undefined {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
    ? Array.from(value as Iterable<unknown>)
    : undefined
}

/** The driver's pools by address of their servers. */
export function poolsOf(client: DriverClient): ReadonlyMap<string, DriverPool> {
  const pools = new Map<string, DriverPool>()
  for (const [address, server] of client.topology?.s?.servers ?? [])
    if (server.pool !== undefined) pools.set(address, server.pool)
  return pools
}

/** The ids of the connections that are idle, and of those in use. */
export function connectionsOf(pool: DriverPool): { readonly idle: number[]; readonly used: number[] } | undefined {
  const [idle, used] = [fieldOf(pool, 'connections'), fieldOf(pool, 'checkedOut')].map(listOf)
  if (idle === undefined || used === undefined) return undefined
  const idOf = (connection: unknown): number => Number((connection as { readonly id?: unknown }).id)
  return { idle: idle.map(idOf), used: used.map(idOf) }
}

/** Connections that are being opened; `undefined` where that cannot be read. */
export function pendingOf(pool: DriverPool): number | undefined {
  const pending = fieldOf(pool, 'pendingConnectionCount')
  return typeof pending === 'number' ? pending : undefined
}

/** Who waits in the queue and has not given up. Who waits for a connection that is being opened is not in it. */
export function queueOf(pool: DriverPool): readonly QueueMember[] | undefined {
  const members = listOf(fieldOf(pool, 'waitQueue'))
  return members?.filter(
    (member): member is QueueMember =>
      typeof member === 'object' && member !== null && fieldOf(member, 'cancelled') !== true,
  )
}

/** Whether the pool hands out connections: a cleared one waits until its server answers again. */
export function isReady(pool: DriverPool): boolean | undefined {
  const state = fieldOf(pool, 'poolState')
  return typeof state === 'string' ? state === 'ready' : undefined
}

export function isClosed(pool: DriverPool): boolean {
  return fieldOf(pool, 'poolState') === 'closed'
}

/** Rejects who waits in the queue, as the driver does for those who abort. Gives how many were told. */
export function rejectQueue(pool: DriverPool, error: () => unknown): number {
  let told = 0
  for (const member of queueOf(pool) ?? []) {
    if (typeof member.reject !== 'function') continue
    setField(member, 'cancelled', true)
    member.reject(error())
    told++
  }
  return told
}

/** Ends the connections that are in use; what runs on them fails. */
export function cutUsed(pool: DriverPool): void {
  for (const connection of listOf(fieldOf(pool, 'checkedOut')) ?? []) (connection as { destroy?(): void }).destroy?.()
}

type CheckOut = (options?: { readonly signal?: AbortSignal }) => Promise<unknown>

/**
 * Calls back when somebody aborts while they wait: the one end of a checkout that the driver tells by no event. Who
 * brings no signal costs nothing. Returns a function that undoes it.
 */
export function watchAborts(pool: DriverPool, aborted: (waitedMillis: number) => void): () => void {
  const own = pool as { checkOut?: CheckOut }
  const { checkOut } = own
  if (typeof checkOut !== 'function') return () => undefined
  const watched: CheckOut = function (this: unknown, options) {
    const checkedOut = checkOut.call(this, options)
    const signal = options?.signal
    if (signal !== undefined) {
      const startedAt = performance.now()
      checkedOut.catch((error: unknown) => {
        if (signal.aborted && error === signal.reason) aborted(performance.now() - startedAt)
      })
    }
    return checkedOut
  }
  own.checkOut = watched
  return () => {
    // Somebody may have wrapped it after us: theirs stays, and calls ours, which goes on working.
    if (own.checkOut === watched) Reflect.deleteProperty(own, 'checkOut')
  }
}
