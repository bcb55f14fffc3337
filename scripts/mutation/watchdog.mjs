import { Worker } from 'node:worker_threads'

/** While it lives, a turn of the event loop that goes round for ever is broken off, wherever it is. */
export class Watchdog {
  // How many turns were seen, and how many were broken off.
  #counts = new Int32Array(new SharedArrayBuffer(8))

  constructor() {
    new Worker(new URL('watchdog-thread.mjs', import.meta.url), { workerData: this.#counts }).unref()
  }

  /** The event loop turns. */
  beat() {
    Atomics.add(this.#counts, 0, 1)
  }

  /** Turns that were broken off so far. */
  get brokenOff() {
    return Atomics.load(this.#counts, 1)
  }
}
