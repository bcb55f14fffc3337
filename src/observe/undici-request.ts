import type { Asking, Books, Lease } from './books.ts'

/** One request, from when it is asked for to when its response has ended. */
export class Request {
  /** It is counted, once, however many pools it goes through. */
  isAsked = false
  /** Where it was asked for, until it is known what came of it. */
  #asked: { readonly books: Books; readonly asking: Asking } | undefined
  #given: { readonly books: Books; readonly client: object } | undefined
  #lease: Lease | undefined
  #isStarting = false
  isOver = false

  askedIn(books: Books, asking: Asking): void {
    this.isAsked = true
    this.#asked = { books, asking }
  }

  /** It was given to a client, whose connection it will have once it is its turn. */
  givenTo(books: Books, client: object): void {
    this.#given = { books, client }
  }

  /** It goes out. After a connection that broke, undici may have it go out on another one. */
  begins(start: () => unknown): unknown {
    this.#isStarting = true
    try {
      return start()
    } finally {
      this.#isStarting = false
      this.#began()
    }
  }

  #began(): void {
    if (this.isOver) return
    this.#giveBack()
    const lend = (): Lease | undefined => this.#given?.books.lend(this.#given.client)
    const asked = this.#asked
    this.#asked = undefined
    this.#lease = asked === undefined ? lend() : asked.books.served(asked.asking, lend)
  }

  /** Whoever has changed their mind while it waited says so when it would begin. */
  ended(error?: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.#giveBack()
    this.#asked?.books.refused(this.#asked.asking, error, this.#isStarting ? 'aborted' : undefined)
  }

  #giveBack(): void {
    if (this.#lease !== undefined) this.#given?.books.giveBack(this.#lease)
    this.#lease = undefined
  }
}

type Method = (...args: unknown[]) => unknown
type Name =
  | 'onConnect' | 'onHeaders' | 'onData' | 'onComplete' | 'onError' | 'onUpgrade'
  | 'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError' | 'onRequestUpgrade'
  | 'onResponseStarted' | 'onBodySent' | 'onRequestSent' // prettier-ignore
type Methods = Partial<Record<Name, Method>>

/** A handler of undici's that notes what happens, and passes all of it on. */
export interface Watched {
  readonly request: Request
}

/** By the methods that undici 6 and 7 call. */
class LegacyHandler implements Watched {
  readonly request: Request
  readonly #handler: Methods
  /** Only where the handler has it: undici looks. */
  readonly onUpgrade: Method | undefined

  constructor(handler: Methods, request: Request) {
    this.#handler = handler
    this.request = request
    if (handler.onUpgrade !== undefined)
      this.onUpgrade = (...args) => {
        request.ended()
        return handler.onUpgrade?.(...args)
      }
  }

  onConnect(abort: unknown, context: unknown): unknown {
    return this.request.begins(() => this.#handler.onConnect?.(abort, context))
  }

  onHeaders(statusCode: unknown, headers: unknown, resume: unknown, statusText: unknown): unknown {
    return this.#handler.onHeaders?.(statusCode, headers, resume, statusText)
  }

  onData(chunk: unknown): unknown {
    return this.#handler.onData?.(chunk)
  }

  onComplete(trailers: unknown): unknown {
    this.request.ended()
    return this.#handler.onComplete?.(trailers)
  }

  onError(error: unknown): unknown {
    this.request.ended(error)
    return this.#handler.onError?.(error)
  }

  onResponseStarted(): unknown {
    return this.#handler.onResponseStarted?.()
  }

  onBodySent(chunk: unknown): unknown {
    return this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): unknown {
    return this.#handler.onRequestSent?.()
  }
}

/** By the methods that undici 8 calls. */
class ModernHandler implements Watched {
  readonly request: Request
  readonly #handler: Methods

  constructor(handler: Methods, request: Request) {
    this.#handler = handler
    this.request = request
  }

  onRequestStart(controller: unknown, context: unknown): unknown {
    return this.request.begins(() => this.#handler.onRequestStart?.(controller, context))
  }

  onResponseStart(controller: unknown, statusCode: unknown, headers: unknown, statusText: unknown): unknown {
    return this.#handler.onResponseStart?.(controller, statusCode, headers, statusText)
  }

  onResponseData(controller: unknown, chunk: unknown): unknown {
    return this.#handler.onResponseData?.(controller, chunk)
  }

  onResponseEnd(controller: unknown, trailers: unknown): unknown {
    this.request.ended()
    return this.#handler.onResponseEnd?.(controller, trailers)
  }

  onResponseError(controller: unknown, error: unknown): unknown {
    this.request.ended(error)
    return this.#handler.onResponseError?.(controller, error)
  }

  onRequestUpgrade(controller: unknown, statusCode: unknown, headers: unknown, socket: unknown): unknown {
    this.request.ended()
    return this.#handler.onRequestUpgrade?.(controller, statusCode, headers, socket)
  }

  onResponseStarted(): unknown {
    return this.#handler.onResponseStarted?.()
  }

  onBodySent(chunk: unknown): unknown {
    return this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): unknown {
    return this.#handler.onRequestSent?.()
  }
}

export function watchedHandler(handler: object, request: Request): object {
  const methods = handler as Methods
  return 'onRequestStart' in handler ? new ModernHandler(methods, request) : new LegacyHandler(methods, request)
}

/** The request of a handler that is ours. */
export function requestOf(handler: object): Request | undefined {
  return handler instanceof LegacyHandler || handler instanceof ModernHandler ? handler.request : undefined
}
