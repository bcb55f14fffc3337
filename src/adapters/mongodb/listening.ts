import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import { classifyMongo } from './classify.ts'
import type {
  CheckedOutEvent,
  CheckOutFailedEvent,
  ConnectionClosedEvent,
  ConnectionEvent,
  DriverClient,
  PoolEvent,
} from './driver.ts'
import type { ServerCounts } from './server-counts.ts'

/** Who hears what the driver's pools do. */
export interface Listener {
  readonly name: string
  /** From when on a wait, or a use, is told of. */
  readonly slowMillis: number
  server(address: string): ServerCounts
  heard(event: PoolEventName): boolean
  tell<E extends PoolEventName>(event: E, payload: PoolEvents[E]): void
  /** A server became ready, or ceased to be. */
  changed(): void
  /** A server could not be reached. */
  failed(error: unknown): void
  poolClosed(server: ServerCounts): void
  /** A connection could not be opened. */
  notOpened(error: unknown): void
  /** The client was closed. */
  topologyClosed(): void
}

const HOW: Readonly<Record<string, PoolEvents['acquireFailed']['reason']>> = {
  timeout: 'timeout',
  poolClosed: 'refused',
}

/**
 * Enters the driver's events into the counts of each server, and tells them in the words of a pool. Returns a function
 * that stops it.
 */
export function listenTo(client: DriverClient, listener: Listener): () => void {
  const { name: pool } = listener
  const handlers = {
    connectionPoolCreated: ({ address }: PoolEvent) => void listener.server(address),
    connectionPoolReady: ({ address }: PoolEvent) => {
      listener.server(address).isReady = true
      listener.changed()
    },
    connectionPoolCleared: ({ address }: PoolEvent) => {
      const server = listener.server(address)
      server.cleared()
      const { generation } = server
      listener.tell('invalidated', { pool, generation, reason: `the driver cleared ${address}`, automatic: true })
      listener.failed(undefined)
    },
    connectionPoolClosed: ({ address }: PoolEvent) => {
      const server = listener.server(address)
      listener.poolClosed(server)
      listener.changed()
    },
    connectionCreated: ({ address, connectionId }: ConnectionEvent) => {
      const server = listener.server(address)
      const resourceId = server.opening(connectionId)
      listener.tell('createStarted', { pool, resourceId, generation: server.generation, attempt: 1 })
    },
    connectionReady: ({ address, connectionId }: ConnectionEvent) => {
      const server = listener.server(address)
      const { resourceId, createMillis: durationMillis } = server.opened(connectionId)
      listener.tell('created', { pool, resourceId, generation: server.generation, durationMillis })
    },
    connectionClosed: ({ address, connectionId, reason, error }: ConnectionClosedEvent) => {
      const server = listener.server(address)
      const { generation, ledger } = server
      const closed = server.closed(connectionId, reason)
      if (closed === undefined) return
      const { resourceId } = closed.was
      if ('reason' in closed) {
        const { openedAt, uses } = closed.was
        const ageMillis = ledger.now() - openedAt
        const why = error === undefined ? {} : { error }
        listener.tell('destroyed', { pool, resourceId, generation, reason: closed.reason, ageMillis, uses, ...why })
      } else {
        const durationMillis = ledger.now() - closed.was.startedAt
        const failure = classifyMongo(error)
        listener.notOpened(error)
        listener.tell('createFailed', { pool, resourceId, generation, durationMillis, failure, error })
      }
    },
    connectionCheckOutStarted: ({ address }: PoolEvent) => {
      listener.server(address).asked()
      listener.tell('acquireStarted', { pool, label: undefined })
    },
    connectionCheckOutFailed: ({ address, reason, durationMS, error }: CheckOutFailedEvent) => {
      listener.server(address).refused(reason, durationMS)
      const durationMillis = durationMS ?? 0
      listener.tell('acquireFailed', { pool, label: undefined, reason: HOW[reason] ?? 'failed', durationMillis, error })
    },
    connectionCheckedOut: ({ address, connectionId, durationMS }: CheckedOutEvent) => {
      const server = listener.server(address)
      const durationMillis = server.lent(connectionId, durationMS)
      const isLong = durationMillis >= listener.slowMillis
      if (!isLong && !listener.heard('acquired')) return
      const resourceId = server.connection(connectionId)?.resourceId ?? 0
      const lease = { pool, resourceId, generation: server.generation, label: undefined }
      listener.tell('acquired', { ...lease, durationMillis })
      if (isLong) listener.tell('longWait', { ...lease, waitMillis: durationMillis })
    },
    connectionCheckedIn: ({ address, connectionId }: ConnectionEvent) => {
      const server = listener.server(address)
      const useMillis = server.returned(connectionId)
      if (useMillis === undefined) return
      const isLong = useMillis >= listener.slowMillis
      if (!isLong && !listener.heard('released')) return
      const resourceId = server.connection(connectionId)?.resourceId ?? 0
      const lease = { pool, resourceId, generation: server.generation, label: undefined }
      listener.tell('released', { ...lease, useMillis })
      if (isLong) listener.tell('longLease', { ...lease, useMillis })
    },
    serverHeartbeatFailed: ({ failure }: { readonly failure?: unknown }) => listener.failed(failure),
    topologyClosed: () => listener.topologyClosed(),
  }
  for (const [event, handler] of Object.entries(handlers)) client.on(event, handler)
  return () => {
    for (const [event, handler] of Object.entries(handlers)) client.off(event, handler)
  }
}
