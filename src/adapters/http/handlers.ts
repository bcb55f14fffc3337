import type { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import type { Abort, Controller, DispatchOptions, Handler, HeaderValues, LegacyHandler, RawHeaders } from './driver.ts'
import { Exchange, type ExchangeHost, type PoolWish } from './exchange.ts'

/** Passes on to a handler by the methods that undici 7 calls. */
export class LegacyExchange extends Exchange implements LegacyHandler {
  readonly #handler: LegacyHandler

  constructor(
    host: ExchangeHost,
    origin: string,
    options: DispatchOptions & PoolWish,
    caller: AsyncResource,
    handler: LegacyHandler,
  ) {
    super(host, origin, options, caller)
    this.#handler = handler
  }

  protected get asHandler(): LegacyHandler {
    return this
  }

  protected announce(abort: Abort): void {
    this.#handler.onConnect(abort, null)
  }

  protected tellError(error: unknown): void {
    this.#handler.onError(error)
  }

  protected header(headers: unknown, name: string): string | undefined {
    return rawHeader(headers as RawHeaders, name)
  }

  onConnect(abort: Abort, context?: unknown): void {
    const own = this.began(abort)
    if (own !== undefined) this.#handler.onConnect(own, context)
  }

  onHeaders(statusCode: number, headers: RawHeaders, resume: () => void, statusText: string): boolean | undefined {
    if (!this.headersCame(statusCode, headers)) return true
    const goesOn = this.#handler.onHeaders(statusCode, headers, resume, statusText)
    if (goesOn === false) this.paused()
    return goesOn
  }

  onData(chunk: Buffer): boolean | undefined {
    if (!this.dataCame(chunk.length)) return true
    const goesOn = this.#handler.onData(chunk)
    if (goesOn === false) this.paused()
    return goesOn
  }

  onComplete(trailers: RawHeaders): void {
    if (this.ended()) this.#handler.onComplete(trailers)
  }

  onError(error: unknown): void {
    this.failed(error)
  }

  onUpgrade(statusCode: number, headers: RawHeaders, socket: Socket): void {
    this.upgraded(socket)
    this.#handler.onUpgrade?.(statusCode, headers, socket)
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onBodySent(chunk: unknown): void {
    this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.()
  }
}

function rawHeader(headers: RawHeaders, name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (String(headers[index]).toLowerCase() === name) return String(headers[index + 1])
  }
  return undefined
}

/** What a handler holds as long as its request runs on no connection. */
class EarlyController implements Controller {
  aborted = false
  paused = false
  reason: unknown = null
  rawHeaders: unknown = null
  rawTrailers: unknown = null
  readonly #abort: Abort

  constructor(abort: Abort) {
    this.#abort = abort
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  abort(reason?: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#abort(reason as Error)
  }
}

/** Passes on to a handler by the methods that undici 8 calls, and undici 7 for its interceptors. */
export class ModernExchange extends Exchange implements Handler {
  readonly #handler: Handler
  #controller: Controller | undefined

  constructor(
    host: ExchangeHost,
    origin: string,
    options: DispatchOptions & PoolWish,
    caller: AsyncResource,
    handler: Handler,
  ) {
    super(host, origin, options, caller)
    this.#handler = handler
  }

  protected get asHandler(): Handler {
    return this
  }

  protected announce(abort: Abort): void {
    this.#controller = new EarlyController(abort)
    this.#handler.onRequestStart(this.#controller, null)
  }

  protected tellError(error: unknown): void {
    this.#controller ??= new EarlyController(() => undefined)
    this.#handler.onResponseError(this.#controller, error)
  }

  protected header(headers: unknown, name: string): string | undefined {
    return (headers as HeaderValues)[name]?.toString()
  }

  onRequestStart(controller: Controller, context?: unknown): void {
    this.#controller = controller
    if (this.began((reason) => controller.abort(reason)) !== undefined)
      this.#handler.onRequestStart(controller, context)
  }

  onResponseStart(controller: Controller, statusCode: number, headers: HeaderValues, statusText?: string): void {
    if (!this.headersCame(statusCode, headers)) return
    this.#handler.onResponseStart(controller, statusCode, headers, statusText)
    if (controller.paused) this.paused()
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (!this.dataCame(chunk.length)) return
    this.#handler.onResponseData(controller, chunk)
    if (controller.paused) this.paused()
  }

  onResponseEnd(controller: Controller, trailers: HeaderValues): void {
    if (this.ended()) this.#handler.onResponseEnd(controller, trailers)
  }

  onResponseError(controller: Controller | undefined, error: unknown): void {
    if (controller !== undefined) this.#controller = controller
    this.failed(error)
  }

  onRequestUpgrade(controller: Controller, statusCode: number, headers: HeaderValues, socket: Socket): void {
    this.upgraded(socket)
    this.#handler.onRequestUpgrade?.(controller, statusCode, headers, socket)
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onBodySent(chunk: unknown): void {
    this.#handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.()
  }
}
