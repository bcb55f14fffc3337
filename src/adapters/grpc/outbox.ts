import type { GrpcCall, GrpcMessageContext } from './driver.ts'

interface Sent {
  readonly context: GrpcMessageContext
  readonly message: unknown
}

/** A call that has sent more than this is not repeated; as much as the driver keeps for its own repetition. */
const MOST_BYTES = 1024 * 1024

/**
 * What a call's client has done so far: handed on to the call on its channel at once, or when there is one, and kept
 * until it is certain that no other channel needs it again.
 *
 * A call of the driver's takes a message when it has called back for the one before; the client goes by that, and so
 * does whoever repeats what the client did.
 */
export class Outbox {
  #real: GrpcCall | undefined
  #sent: Sent[] = []
  #bytes = 0
  #wantsRead = false
  #isEnded = false
  #isCatchingUp = false
  #isWhole = true

  /** Whether all of it is still here, from the first message on. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  send(given: GrpcMessageContext, message: unknown): void {
    const real = this.#isCatchingUp ? undefined : this.#real
    let context = given
    if (this.#isWhole || real === undefined) {
      if (given.callback !== undefined) context = toldOnce(given)
      this.#sent.push({ context, message })
      this.#bytes += (message as { readonly length?: number }).length ?? 0
      if (this.#bytes > MOST_BYTES) this.forget()
    }
    real?.sendMessageWithContext(context, message)
  }

  startRead(): void {
    this.#wantsRead = true
    this.#real?.startRead()
  }

  halfClose(): void {
    this.#isEnded = true
    if (!this.#isCatchingUp) this.#real?.halfClose()
  }

  /** All that was done, and all that will be done, goes to this call. */
  attach(real: GrpcCall): void {
    this.#real = real
    if (this.#wantsRead) real.startRead()
    this.#isCatchingUp = true
    this.#sendFrom(real, 0)
  }

  /** That call is over; another one will be attached. */
  detach(): void {
    this.#real = undefined
    this.#isCatchingUp = false
  }

  /** Nothing needs to be done again. */
  forget(): void {
    this.#isWhole = false
    if (this.#real !== undefined && !this.#isCatchingUp) this.#sent = []
  }

  #sendFrom(real: GrpcCall, index: number): void {
    if (real !== this.#real) return
    const next = this.#sent[index]
    if (next === undefined || (this.#isEnded && index === this.#sent.length - 1)) {
      this.#isCatchingUp = false
      if (!this.#isWhole) this.#sent = []
      if (next !== undefined) real.sendMessageWithContext(next.context, next.message)
      if (this.#isEnded) real.halfClose()
      return
    }
    const { context, message } = next
    const callback = (error?: Error | null): void => {
      // First: what the client sends when it is told comes after all that waits here.
      this.#sendFrom(real, index + 1)
      context.callback?.(error)
    }
    real.sendMessageWithContext({ ...context, callback }, message)
  }
}

/** Calls back once, however often the message is sent. */
function toldOnce(context: GrpcMessageContext): GrpcMessageContext {
  let isTold = false
  const callback = (error?: Error | null): void => {
    if (isTold) return
    isTold = true
    context.callback?.(error)
  }
  return { ...context, callback }
}
