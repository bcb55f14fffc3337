import { answer } from './guard.ts'

/** A viewer whose buffer holds more messages than this has stopped reading, and is let go. */
const MOST_UNREAD = 60
/** Between two signs of life, so that proxies in between keep a quiet stream open. */
const HEARTBEAT_MILLIS = 15_000

const encoder = new TextEncoder()

/** Messages of the server to everybody who looks: `text/event-stream`. */
export class Stream {
  readonly #viewers = new Set<ReadableStreamDefaultController<Uint8Array>>()
  #heartbeat: NodeJS.Timeout | undefined

  get viewers(): number {
    return this.#viewers.size
  }

  /** A new viewer, who is told the first message at once. */
  open(event: string, data: unknown): Response {
    let viewer: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        viewer = controller
        this.#viewers.add(controller)
        this.#heartbeat ??= setInterval(() => this.#write(encoder.encode(':\n\n')), HEARTBEAT_MILLIS).unref()
        controller.enqueue(message(event, data))
      },
      cancel: () => this.#forget(viewer),
    })
    return answer(body, 200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
  }

  send(event: string, data: unknown): void {
    if (this.#viewers.size > 0) this.#write(message(event, data))
  }

  close(): void {
    for (const viewer of this.#viewers) {
      this.#forget(viewer)
      viewer.close()
    }
  }

  #write(bytes: Uint8Array): void {
    for (const viewer of this.#viewers) {
      if ((viewer.desiredSize ?? 0) < -MOST_UNREAD) {
        this.#forget(viewer)
        viewer.error(new Error('the viewer does not read'))
      } else viewer.enqueue(bytes)
    }
  }

  #forget(viewer: ReadableStreamDefaultController<Uint8Array>): void {
    this.#viewers.delete(viewer)
    if (this.#viewers.size > 0) return
    clearInterval(this.#heartbeat)
    this.#heartbeat = undefined
  }
}

const message = (event: string, data: unknown): Uint8Array =>
  encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
