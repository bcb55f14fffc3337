import type { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import type { DriverClient } from './driver.ts'
import type { FaceHost, FaceOwner, Method } from './face-host.ts'

/** Names of node's EventEmitter that a face answers itself: its events are the pool's, not one connection's. */
const EMITTER = [
  'addListener', 'emit', 'eventNames', 'getMaxListeners', 'listenerCount', 'listeners', 'off', 'on', 'once',
  'prependListener', 'prependOnceListener', 'rawListeners', 'removeAllListeners', 'removeListener', 'setMaxListeners',
] as const // prettier-ignore

/** A face of its driver: names that it answers itself, and how it makes the others. */
export interface FaceParts {
  readonly own: Readonly<Record<string, PropertyDescriptor>>
  /** Makes the function, or whatever else stands for this name. Kept on the face from then on. */
  make(face: object, name: string, value: unknown): unknown
}

/** The end of a face, and of what runs on it. */
export class Owner implements FaceOwner {
  readonly #controller = new AbortController()
  /** A plain field: every command asks for it. */
  ended = false

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(error: Error): void {
    this.ended = true
    this.#controller.abort(error)
  }
}

/**
 * An object that looks like a client of the driver and is none:
 *
 *     face (what it answers itself, and every name asked for so far) ──► one Proxy ──► the driver's class
 *
 * A name is asked of the Proxy once; what is made for it is then a plain property of the face, so that a command costs
 * one call more than on the driver's client itself.
 */
export function makeFace(host: FaceHost, template: DriverClient, events: EventEmitter, parts: FaceParts): DriverClient {
  const prototype = new Proxy(Object.create(Object.getPrototypeOf(template) as object) as object, {
    get(target, name, receiver: object): unknown {
      if (typeof name === 'symbol') return Reflect.get(target, name, target)
      if (name === 'then') return undefined
      const value: unknown = Reflect.get(template, name, template)
      const made = name === 'constructor' ? value : parts.make(receiver, name, value)
      if (typeof made === 'function' && name !== 'constructor')
        Object.defineProperty(receiver, name, { value: made, configurable: true, writable: true })
      return made
    },
    has: (_target, name) => name in template,
  })
  const face = Object.create(prototype) as DriverClient
  for (const name of EMITTER) {
    const method = (events as unknown as Record<string, Method>)[name] as Method
    Object.defineProperty(face, name, {
      value: (...args: unknown[]): unknown => {
        const result = method.apply(events, args)
        return result === events ? face : result
      },
      configurable: true,
      writable: true,
    })
  }
  Object.defineProperties(face, {
    [inspect.custom]: { value: () => `RedisPoolClient { pool: '${host.name}', status: '${host.status()}' }` },
    ...parts.own,
  })
  return face
}

/**
 * A command of the shared lane: on a connection that takes it now, otherwise queued. What it makes for those that are
 * measured stands apart, so that the method itself has nothing to allocate.
 */
export function sharedCommand(
  host: FaceHost,
  owner: FaceOwner,
  label: string,
  send: (client: DriverClient, args: unknown[]) => unknown,
  queue: (args: unknown[]) => unknown,
): Method {
  const measure = (client: DriverClient, args: unknown[]): unknown => host.measured(label, () => send(client, args))
  return (...args) => {
    const client = owner.ended ? undefined : host.pick()
    if (client === undefined) return queue(args)
    return host.watched ? measure(client, args) : send(client, args)
  }
}

export function value(of: unknown): PropertyDescriptor {
  return { value: of, configurable: true, writable: true }
}

export function getter(get: () => unknown): PropertyDescriptor {
  return { get, configurable: true }
}

/** A getter that a caller may overwrite, as a plain property of the driver's. */
export function overwritable(get: () => unknown): PropertyDescriptor {
  let given: { readonly value: unknown } | undefined
  return {
    get: () => (given === undefined ? get() : given.value),
    set: (value: unknown) => {
      given = { value }
    },
    configurable: true,
  }
}

/** A listenerless 'error' is told to nobody, instead of ending the process. */
export function emitLater(events: EventEmitter, event: string, ...args: unknown[]): void {
  if (event === 'error' && events.listenerCount('error') === 0) return
  process.nextTick(() => {
    if (event !== 'error' || events.listenerCount('error') > 0) events.emit(event, ...args)
  })
}
