import type { Socket } from 'node:net'

/** Faults of one direction. */
export interface LaneFaults {
  /** Every chunk comes this much later. */
  readonly latencyMillis?: number
  /** ± this much, evenly; the order is kept. */
  readonly jitterMillis?: number
  /** What passes per second. */
  readonly bytesPerSecond?: number
  /** Nothing passes; what was sent is delivered when the black hole ends. */
  readonly blackHole?: boolean
  /** Resets the connection once this many more bytes have passed. */
  readonly cutAfterBytes?: number
}

/** One direction of a proxied connection: bytes in order, each as late and as slow as the faults say. */
export class Lane {
  readonly #from: Socket
  readonly #to: Socket
  readonly #random: () => number
  readonly #cut: (how: 'reset') => void
  readonly #waiting: (Buffer | 'end')[] = []
  #faults: LaneFaults = {}
  #left = Infinity
  #timer: NodeJS.Timeout | undefined
  #busy = false

  constructor(from: Socket, to: Socket, random: () => number, cut: (how: 'reset') => void) {
    this.#from = from
    this.#to = to
    this.#random = random
    this.#cut = cut
    from.on('data', (chunk: Buffer) => {
      this.#waiting.push(chunk)
      this.#next()
    })
    from.on('end', () => {
      this.#waiting.push('end')
      this.#next()
    })
    from.once('close', () => {
      clearTimeout(this.#timer)
    })
  }

  set(faults: LaneFaults): void {
    this.#faults = faults
    this.#left = faults.cutAfterBytes ?? Infinity
    // A chunk that is on its way keeps the delay that it began with; a black hole ends at once.
    this.#next()
  }

  #next(): void {
    // Back-pressure: a sender is read only as fast as its bytes leave.
    if (this.#waiting.length > 64) this.#from.pause()
    else if (this.#from.isPaused()) this.#from.resume()
    if (this.#busy || this.#faults.blackHole === true || this.#waiting.length === 0) return
    const chunk = this.#waiting.shift()
    if (chunk === undefined) return
    const delayMillis = this.#delayOf(chunk)
    if (delayMillis <= 0) {
      this.#deliver(chunk)
      return
    }
    this.#busy = true
    this.#timer = setTimeout(() => {
      this.#busy = false
      this.#deliver(chunk)
    }, delayMillis)
  }

  #delayOf(chunk: Buffer | 'end'): number {
    const { latencyMillis = 0, jitterMillis = 0, bytesPerSecond = Infinity } = this.#faults
    const transfer = chunk === 'end' ? 0 : (chunk.length / bytesPerSecond) * 1_000
    return latencyMillis + jitterMillis * (2 * this.#random() - 1) + transfer
  }

  #deliver(chunk: Buffer | 'end'): void {
    if (this.#to.destroyed) return
    if (this.#faults.blackHole === true) {
      this.#waiting.unshift(chunk)
      return
    }
    if (chunk === 'end') {
      this.#to.end()
    } else if (chunk.length >= this.#left) {
      this.#to.write(chunk.subarray(0, this.#left), () => {
        this.#cut('reset')
      })
      return
    } else {
      this.#left -= chunk.length
      if (!this.#to.write(chunk)) {
        this.#busy = true
        this.#to.once('drain', () => {
          this.#busy = false
          this.#next()
        })
      }
    }
    this.#next()
  }
}
