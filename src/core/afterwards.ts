/** Something that goes on when what runs at the moment is over. */
export interface Follower {
  /** The one behind it; belongs to this file. */
  follower: Follower | undefined
  goOn(): void
}

const settled = Promise.resolve()
let first: Follower | undefined
let last: Follower | undefined
let isScheduled = false

/**
 * Has it go on afterwards: outside the pool's loop, and after a driver that is still in the middle of telling something.
 * One microtask serves all; who is added meanwhile goes on in the same one.
 */
export function afterwards(follower: Follower): void {
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
  void settled.then(goOnAll)
}

function goOnAll(): void {
  try {
    for (let each = take(); each !== undefined; each = take()) each.goOn()
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
