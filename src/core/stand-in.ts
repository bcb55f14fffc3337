import { LeaseReleasedError } from './errors.ts'
import type { Lease } from './lease.ts'

type Method = (this: unknown, ...args: unknown[]) => unknown

interface BoundMethod {
  readonly method: Method
  readonly bound: Method
}

/**
 * Gives a class of objects that stand for a driver's own object during one lease everything that they do not define
 * themselves:
 *
 *     stand-in (its resource, its lease) ──► the class's prototype (query, release, …) ──► one Proxy shared by all
 *
 * A name that the class defines is an ordinary method call. Any other name, read or written, falls through the
 * prototype chain to the Proxy, which gets the object as the receiver and passes it on to the real resource: so
 * whatever looks at it (`instanceof`, streams, libraries that leave marks on it) finds what it expects, for the price
 * of one small object. A method that is assigned stays on the borrower's object and ends with it, so that wrapping
 * one's own client wraps nobody else's.
 *
 * @param Class - the driver's class
 * @param resourceOf - what a stand-in stands for; undefined for anything else
 * @returns learns, from the first resource, the names of fields that only instances have
 */
export function standInFor<T extends object>(
  StandIn: { readonly prototype: object },
  Class: { readonly prototype: object },
  resourceOf: (standIn: unknown) => T | undefined,
): (resource: T) => void {
  let instanceKeys: ReadonlySet<PropertyKey> | undefined
  /** Methods that are asked for seldom run on the real resource, and are bound once per resource. */
  const boundMethods = new WeakMap<T, Map<PropertyKey, BoundMethod>>()

  function bound(resource: T, property: PropertyKey, method: Method): Method {
    const methods = boundMethods.get(resource) ?? new Map<PropertyKey, BoundMethod>()
    boundMethods.set(resource, methods)
    const known = methods.get(property)
    // Bound anew when somebody has replaced the method on the resource.
    if (known?.method === method) return known.bound
    const fresh: BoundMethod = { method, bound: (...args) => method.apply(resource, args) }
    methods.set(property, fresh)
    return fresh.bound
  }

  const passOn = new Proxy(Object.create(Class.prototype) as object, {
    get(target, property, receiver: unknown): unknown {
      const resource = resourceOf(receiver)
      if (resource === undefined) return Reflect.get(target, property, target)
      const value: unknown = Reflect.get(resource, property, resource)
      return typeof value === 'function' && property !== 'constructor'
        ? bound(resource, property, value as Method)
        : value
    },
    set(target, property, value, receiver: unknown): boolean {
      const resource = resourceOf(receiver)
      return resource === undefined
        ? Reflect.set(target, property, value)
        : Reflect.set(resource, property, value, resource)
    },
    has: (_target, property) => property in Class.prototype || instanceKeys?.has(property) === true,
  })
  Object.setPrototypeOf(StandIn.prototype, passOn)
  Object.defineProperty(StandIn.prototype, 'constructor', { value: Class, configurable: true, writable: true })
  return (resource) => {
    instanceKeys ??= new Set(Reflect.ownKeys(resource))
  }
}

/** What a release of a lease that is over does. */
export type StaleReleasePolicy = 'throw' | 'warn' | 'ignore'

/**
 * A borrower gives back what is not theirs any more.
 * @param phrase - what the driver's users search for
 */
export function staleRelease<T>(lease: Lease<T>, policy: StaleReleasePolicy, phrase: string): void {
  if (policy === 'ignore') return
  const stale = staleError(lease)
  if (policy === 'warn') {
    process.emitWarning(stale.message, 'MillpondWarning')
    return
  }
  stale.message = `${phrase} (${stale.message})`
  throw stale
}

/** Answers whoever uses what is over: the callback among the arguments is told, or the promise rejects. */
export function refuseStale<T>(lease: Lease<T>, args: readonly unknown[]): unknown {
  const error = staleError(lease)
  const callback = args.find((arg) => typeof arg === 'function') as ((error: Error) => void) | undefined
  if (callback === undefined) return Promise.reject(error)
  process.nextTick(callback, error)
  return undefined
}

/** The error of using what is over, as the lease itself words it. */
export function staleError<T>(lease: Lease<T>): LeaseReleasedError {
  try {
    lease.release()
  } catch (error) {
    if (error instanceof LeaseReleasedError) return error
  }
  throw new Error('bug: a lease that is over could be released')
}
