/** Something that goes on when the driver is done with what it is doing at the moment. */
export interface Follower {
  /** The one behind it; belongs to this file. */
  follower: Follower | undefined
  afterDriver(): void
}

const settled = Promise.resolve()
let first: Follower | undefined
let last: Follower | undefined
let isScheduled = false

/**
 * Has it go on after the driver: undici tells of the end of an answer before it decides whether the connection goes on,
 * and hears of no new request while it tells. One microtask serves all; who is added meanwhile goes on in the same one.
 */
export function followDriver(follower: Follower): void {
  // It is in the list already.
  if (follower.follower !== undefined || follower === last) return
  if (last === undefined) first = follower
  else last.follower = follower
  last = follower
  schedule()
}

function schedule(): void {
  if (isScheduled) return
  isScheduled = true
  void settled.then(goOn)
}

function goOn(): void {
  try {
    for (let each = take(); each !== undefined; each = take()) each.afterDriver()
  } finally {
    isScheduled = false
    // One of them threw, which is its caller's error: the others go on all the same.
    if (first !== undefined) schedule()
  }
}

function take(): Follower | undefined {
  const each = first
  if (each === undefined) return undefined
  first = each.follower
  if (first === undefined) last = undefined
  each.follower = undefined
  return each
}
