import type { GrpcClient } from './driver.ts'
import type { CallWish } from './pooled-call.ts'

/** How one call of the promise form is made. `O` is the driver's own type of a call's options. */
export type PromiseCallOptions = CallWish & {
  /** Cancels the call, also while it waits for a channel; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** When the call must be over: a date, or milliseconds since the epoch, as for the driver. @defaultValue never */
  readonly deadline?: Date | number | undefined
  /** The same as a time from now, in milliseconds. @defaultValue Infinity */
  readonly timeoutMillis?: number | undefined
  /** A `Metadata` of the driver. */
  readonly metadata?: object | undefined
  /** Call credentials of the driver. */
  readonly credentials?: object | undefined
  readonly host?: string | undefined
  /** The server call that this one is made for. */
  readonly parent?: object | undefined
  readonly propagate_flags?: number | undefined
  readonly interceptors?: readonly unknown[] | undefined
  readonly interceptor_providers?: readonly unknown[] | undefined
}

/** The promise form of one unary method. */
export type PromiseMethod<Q, R> = (request: Q, options?: PromiseCallOptions) => Promise<R>

/** Names that every client has, and that are no methods of a service. */
type ClientMember =
  | 'close'
  | 'getChannel'
  | 'waitForReady'
  | 'makeUnaryRequest'
  | 'makeClientStreamRequest'
  | 'makeServerStreamRequest'
  | 'makeBidiStreamRequest'

/** What the driver gives for a unary call; its streams can also be written or read. */
type UnaryMethod<M> = M extends (...args: infer A extends unknown[]) => infer K
  ? K extends { write: unknown } | { read: unknown }
    ? never
    : K extends { cancel(): void; getPeer(): string }
      ? A extends [infer Q, ...unknown[], infer B]
        ? // The driver's type of an error, and a value that is missing with one.
          // eslint-disable-next-line @typescript-eslint/no-explicit-any
          B extends (error: any, value: infer R) => unknown
          ? PromiseMethod<Q, NonNullable<R>>
          : never
        : never
      : never
  : never

/** The unary methods of a client, each with its promise form. */
export type Promises<C> = string extends keyof C
  ? // A client without types of its own.
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    Readonly<Record<string, PromiseMethod<any, any>>>
  : {
      readonly [
        N in keyof C as N extends ClientMember ? never : UnaryMethod<C[N]> extends never ? never : N
      ]: UnaryMethod<C[N]>
    }

type UnaryCall = (...args: unknown[]) => { cancel(): void }

/** What `makeGenericClientConstructor` writes onto every method. */
interface MethodAttributes {
  readonly requestStream?: boolean
  readonly responseStream?: boolean
}

/** Makes the promise forms of a client's methods, each when it is first asked for. */
export function promisesOf<C extends GrpcClient>(
  client: C,
  wishing: (wish: CallWish, callback: () => { cancel(): void }) => { cancel(): void },
): Promises<C> {
  const known = new Map<string, PromiseMethod<unknown, unknown>>()
  const methods = client as unknown as Readonly<Record<string, (UnaryCall & MethodAttributes) | undefined>>
  return new Proxy(Object.freeze({}) as Promises<C>, {
    has: (_none, name) => typeof name === 'string' && typeof methods[name] === 'function',
    get(_none, name) {
      // A promise form named `then` would make the object a promise of its own.
      if (typeof name !== 'string' || name === 'then') return undefined
      const method = methods[name]
      if (typeof method !== 'function') return undefined
      if (method.requestStream === true || method.responseStream === true) {
        throw new TypeError(`\`${name}\` streams; it has no promise form: use \`pool.client.${name}\``)
      }
      let form = known.get(name)
      if (form === undefined) {
        form = (request, options = {}) => promised(client, method, wishing, request, options)
        known.set(name, form)
      }
      return form
    },
  })
}

function promised(
  client: GrpcClient,
  method: UnaryCall,
  wishing: (wish: CallWish, callback: () => { cancel(): void }) => { cancel(): void },
  request: unknown,
  { signal, deadline, timeoutMillis, metadata, label, priority, ...rest }: PromiseCallOptions,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const options = { ...rest, ...deadlineOf(deadline, timeoutMillis) }
    const done = (error: unknown, value: unknown): void => {
      signal?.removeEventListener('abort', abort)
      if (error === null || error === undefined) resolve(value)
      else reject(signal?.aborted ? signal.reason : error)
    }
    const args = metadata === undefined ? [request, options, done] : [request, metadata, options, done]
    const call = wishing({ label, priority }, () => method.apply(client, args))
    const abort = (): void => {
      call.cancel()
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}

function deadlineOf(
  deadline: Date | number | undefined,
  timeoutMillis: number | undefined,
): { deadline?: Date | number } {
  if (timeoutMillis === undefined || timeoutMillis === Infinity) return deadline === undefined ? {} : { deadline }
  const soonest = Date.now() + timeoutMillis
  return { deadline: deadline === undefined ? soonest : Math.min(Number(deadline), soonest) }
}
