import type { LeaseInfo } from './report.ts'

/** How a close went. */
export interface CloseReport {
  readonly pool: string
  /** Resources that were closed in order. */
  readonly closed: number
  /** Resources that were destroyed although somebody still held them. */
  readonly forced: number
  /** Creates that had not settled; each is destroyed when it does. */
  readonly pendingCreates: number
  /** Callers that still waited and were rejected. */
  readonly rejected: number
  /** Who held the forced ones. */
  readonly holders: readonly LeaseInfo[]
  readonly durationMillis: number
}
