/**
 * What an error says about the resource and its server. The pool acts on the class, never on the error itself.
 *
 * | class | what the pool does |
 * |---|---|
 * | `disconnect` | this resource is gone; one other idle resource is validated, and if that fails too all are replaced |
 * | `restart` | the server said that it goes down: all resources are replaced; of a create: it refuses connects, which replaces nothing |
 * | `role-change` | the server became read-only: all are replaced once a second resource confirms it, at most every 30 s |
 * | `saturated` | the server takes no more connections: the pool makes do with what is open for a while |
 * | `auth`, `tls`, `config` | asking again will not help: who waits fails at once with the real error |
 * | `dns`, `timeout` | this attempt failed; the next one waits |
 * | `query` | an error of the borrower's work; the resource is fine |
 */
export type FailureClass =
  'disconnect' | 'restart' | 'role-change' | 'saturated' | 'auth' | 'tls' | 'dns' | 'config' | 'timeout' | 'query'

/**
 * Why a resource was destroyed.
 *
 * `idle` idle too long · `lifetime` too old · `uses` used too often · `surplus` more than `max` after a resize or an
 * overflow · `broken` its borrower or adapter found it broken · `lost` it died while nobody looked · `stale` of an
 * invalidated generation · `validate`, `reset`, `hook` that step failed · `released` the borrower destroyed it ·
 * `overused` held longer than `maxUseMillis` · `abandoned` its lease was garbage-collected · `interrupted` taken from
 * its borrower by `invalidate({ interruptInUse: true })` · `late` its create ended after its deadline · `close` the
 * pool closed.
 */
export type DestroyReason =
  | 'idle'
  | 'lifetime'
  | 'uses'
  | 'surplus'
  | 'broken'
  | 'lost'
  | 'stale'
  | 'validate'
  | 'reset'
  | 'hook'
  | 'released'
  | 'overused'
  | 'abandoned'
  | 'interrupted'
  | 'late'
  | 'close'

export interface CreateContext {
  /** Aborts when the pool no longer waits for this create. Its late result is destroyed all the same. */
  readonly signal: AbortSignal
  /** The adapter calls this when the resource dies while nobody looks, so that it is never handed out. */
  lost(error?: unknown): void
  /** 1 for a first try, counted up while creates fail in a row. */
  readonly attempt: number
  /** What the create before this one failed with, while creates fail in a row. */
  readonly lastError?: unknown
}

export interface StepContext {
  /** Aborts when the pool's deadline for this step has passed. */
  readonly signal: AbortSignal
}

/**
 * How to open, check, clean and end one kind of resource. An adapter is one of these plus a familiar surface.
 * Every member may throw, hang or answer late: the pool bounds each call and stays consistent.
 */
export interface ResourceFactory<T> {
  /** What is pooled, for messages and metrics: `'postgres'`, `'http'`, … */
  readonly kind: string
  /** Where the resources lead to, without a secret: pools of one process with the same target are counted. */
  readonly target?: string | undefined
  create(context: CreateContext): Promise<T>
  destroy(resource: T, reason: DestroyReason): void | Promise<void>
  /** Tells, without waiting, whether the resource can no longer be used. Asked on every release. */
  isBroken?(resource: T, error?: unknown): boolean
  /** A round trip that proves the resource; rejecting destroys it. */
  validate?(resource: T, context: StepContext): Promise<void>
  /** Cleans up after a borrower; rejecting destroys the resource. */
  reset?(resource: T, context: StepContext): Promise<void>
  /** Tells, without waiting, whether `reset` has anything to do; without it every release resets. */
  needsReset?(resource: T): boolean
  /** Tells that whoever holds the resource holds it on purpose (it listens for something): that is no leak. */
  isHeldOnPurpose?(resource: T): boolean
  /** Asked for errors of create, validate, reset, `lost` and release. Without it, an error of a create or a check is a `disconnect`, one of a borrower a `query`. */
  classify?(error: unknown): FailureClass
}
