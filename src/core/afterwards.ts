/** Something that goes on when what runs at the moment is over; in one of the two ways below, not in both at a time. */
export interface Follower {
  /** The one behind it; belongs to this file. */
  follower: Follower | undefined
  goOn(): void
}

/** Followers that go on one behind the other, all in one call of the platform's. */
class Line {
  #first: Follower | undefined = undefined
  #last: Follower | undefined = undefined
  #isScheduled = false
  readonly #callLater: (goOnAll: () => void) => void

  constructor(callLater: (goOnAll: () => void) => void) {
    this.#callLater = callLater
  }

  add(follower: Follower): void {
    // It is in the line already.
    if (follower.follower !== undefined || follower === this.#last) return
    if (this.#last === undefined) this.#first = follower
    else this.#last.follower = follower
    this.#last = follower
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const callLater = this.#callLater
    callLater(this.#goOnAll)
  }

  readonly #goOnAll = (): void => {
    try {
      for (let each = this.#take(); each !== undefined; each = this.#take()) each.goOn()
    } finally {
      this.#isScheduled = false
      // One of them threw, which is its caller's error: the others go on all the same.
      if (this.#first !== undefined) this.#schedule()
    }
  }

  #take(): Follower | undefined {
    const each = this.#first
    if (each === undefined) return undefined
    this.#first = each.follower
    if (this.#first === undefined) this.#last = undefined
    each.follower = undefined
    return each
  }
}

const settled = Promise.resolve()
const microtask = new Line((goOnAll) => void settled.then(goOnAll))
const tick = new Line((goOnAll) => process.nextTick(goOnAll))

/**
 * Has it go on afterwards: outside the pool's loop, and after a driver that is still in the middle of telling something.
 * One microtask serves all; who is added meanwhile goes on in the same one.
 */
export function afterwards(follower: Follower): void {
  microtask.add(follower)
}

/** The same in a tick, for what runs a user's code at once: what that throws is an uncaught exception, as anywhere else. */
export function inTick(follower: Follower): void {
  tick.add(follower)
}
