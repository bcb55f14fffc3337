/** Nobody has read a body for `bodyTimeoutMillis`; its connection was closed, so that others get its place. */
export class UnreadBodyError extends Error {
  readonly code = 'UND_ERR_BODY_TIMEOUT'
  static {
    this.prototype.name = 'UnreadBodyError'
  }
}

/** A body that stands still because nobody reads it. */
export interface StandingBody {
  giveUp(millis: number): void
}

/** How often one looks, in parts of the time that a body may stand still. */
const LOOKS = 4
/** What that time is taken for where it is without end, and only some requests have one of their own. */
const USUAL_MILLIS = 30_000

/** Bodies that nobody reads at the moment. One timer looks after all of them, as long as there are any. */
export class UnreadBodies {
  readonly #millis: number
  readonly #everyMillis: number
  /** How many looks each of them has left. */
  readonly #standing = new Map<StandingBody, { left: number; readonly millis: number }>()
  #timer: NodeJS.Timeout | undefined

  /** @param millis - how long a body may stand still; `Infinity` for ever */
  constructor(millis: number) {
    this.#millis = millis
    this.#everyMillis = (millis === Infinity ? USUAL_MILLIS : millis) / LOOKS
  }

  /** @param own - the request's own time, in milliseconds; `0` for ever */
  add(body: StandingBody, own: number | null | undefined): void {
    const millis = own === 0 ? Infinity : (own ?? this.#millis)
    if (millis === Infinity) return
    this.#standing.set(body, { left: 1 + Math.ceil(millis / this.#everyMillis), millis })
    // Whoever does not read must not keep the process alive.
    this.#timer ??= setInterval(() => this.#look(), this.#everyMillis).unref()
  }

  delete(body: StandingBody): void {
    this.#standing.delete(body)
  }

  #look(): void {
    for (const [body, standing] of this.#standing) {
      if (--standing.left > 0) continue
      this.#standing.delete(body)
      body.giveUp(standing.millis)
    }
    if (this.#standing.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Lets go of everything. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#standing.clear()
  }
}
