export interface UtilizationOptions {
  /** The share of `max` in use that is too much. @defaultValue 0.8 */
  above?: number | undefined
  /** The share below which it is over; between the two nothing changes. @defaultValue 0.7 */
  below?: number | undefined
  /** How long it must be too much, in milliseconds. @defaultValue 60_000 */
  forMillis?: number | undefined
}

/** A pool has been nearly all in use for a while, or is no longer. */
export interface UtilizationAlert {
  readonly pool: string
  /** Whether it begins or is over. */
  readonly firing: boolean
  /** The share in use now. */
  readonly utilization: number
  /** Since when it was too much, in milliseconds since 1970. */
  readonly since: number
  readonly at: number
}

/** Watches how much of one pool is in use. A short peak is none of its business, and neither is a short dip. */
export class UtilizationWatch {
  readonly #pool: string
  readonly #above: number
  readonly #below: number
  readonly #forMillis: number
  #since: number | undefined
  #firing: UtilizationAlert | undefined

  constructor(pool: string, { above = 0.8, below = 0.7, forMillis = 60_000 }: UtilizationOptions) {
    this.#pool = pool
    this.#above = above
    this.#below = below
    this.#forMillis = forMillis
  }

  /** The alert that is on, if one is. */
  get firing(): UtilizationAlert | undefined {
    return this.#firing
  }

  /** Takes note, and gives an alert where one begins or ends. */
  note(utilization: number, at: number): UtilizationAlert | undefined {
    if (utilization > this.#above) this.#since ??= at
    const since = this.#since
    if (since === undefined) return undefined
    const alert = (firing: boolean): UtilizationAlert => ({ pool: this.#pool, firing, utilization, since, at })
    if (utilization < this.#below) {
      this.#since = undefined
      const wasFiring = this.#firing !== undefined
      this.#firing = undefined
      return wasFiring ? alert(false) : undefined
    }
    if (this.#firing !== undefined || at - since < this.#forMillis) return undefined
    this.#firing = alert(true)
    return this.#firing
  }
}
