import { performance } from 'node:perf_hooks'
import { RESOURCES } from './subjects.mjs'

/** Long enough that the optimizing compiler has settled, short enough for many rounds. */
const OPERATIONS = 400_000
const SAMPLES = 5

/** Nanoseconds for each acquire with its release; the median of the samples after one to warm up. */
export const SCENARIOS = {
  /** One caller, one resource after the other: nobody waits. */
  uncontended: (subject) => timed(subject, (operations) => sequence(subject, operations)),
  'contended 100': (subject) => timed(subject, (operations) => crowd(subject, 100, operations)),
  'contended 1,000': (subject) => timed(subject, (operations) => crowd(subject, 1_000, operations)),
  'contended 10,000': (subject) => timed(subject, (operations) => crowd(subject, 10_000, operations)),
  memory: bytesPerWaiter,
  timeouts: expiry,
  aborts: cancelling,
}

async function timed(subject, run) {
  await warm(subject)
  await run(OPERATIONS / 2)
  const samples = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    globalThis.gc()
    const startedAt = process.hrtime.bigint()
    await run(OPERATIONS)
    samples.push(Number(process.hrtime.bigint() - startedAt) / OPERATIONS)
  }
  samples.sort((a, b) => a - b)
  return { nanosPerOperation: samples[SAMPLES >> 1] }
}

/** Opens everything first: no scenario measures opening. */
async function warm(subject) {
  const leases = await Promise.all(Array.from({ length: RESOURCES }, () => lend(subject)))
  for (const lease of leases) subject.release(lease)
  await new Promise((resolve) => setTimeout(resolve, 20))
}

const lend = (subject) =>
  subject.acquireWith === undefined
    ? subject.acquire()
    : new Promise((resolve) => subject.acquireWith((_error, lease) => resolve(lease)))

function sequence(subject, operations) {
  return subject.acquireWith === undefined ? awaited(subject, operations) : calledBack(subject, operations)
}

async function awaited(subject, operations) {
  for (let left = operations; left > 0; left--) subject.release(await subject.acquire())
}

/** One turn of the microtask queue for each operation, as an `await` takes, and no recursion. */
function calledBack(subject, operations) {
  return new Promise((resolve) => {
    let left = operations
    const next = () => {
      if (left-- === 0) resolve()
      else subject.acquireWith(lent)
    }
    const lent = (_error, lease) => {
      subject.release(lease)
      queueMicrotask(next)
    }
    next()
  })
}

/** Many callers that hold what they get for one turn of the microtask queue, and ask again. */
function crowd(subject, callers, operations) {
  let left = operations
  const hold = subject.acquireWith === undefined ? awaiting : callingBack
  return Promise.all(Array.from({ length: callers }, hold))

  async function awaiting() {
    while (left-- > 0) {
      const lease = await subject.acquire()
      await null
      subject.release(lease)
    }
  }

  function callingBack() {
    return new Promise((resolve) => {
      const next = () => {
        if (left-- > 0) subject.acquireWith(lent)
        else resolve()
      }
      const lent = (_error, lease) => {
        queueMicrotask(() => {
          subject.release(lease)
          next()
        })
      }
      next()
    })
  }
}

/** What 100,000 callers who wait keep in memory, their promises included. */
async function bytesPerWaiter(subject) {
  const waiters = 100_000
  await warm(subject)
  const leases = await Promise.all(Array.from({ length: RESOURCES }, () => lend(subject)))
  const promises = new Array(waiters).fill(undefined)
  await settledHeap()
  const before = await settledHeap()
  for (let index = 0; index < waiters; index++) promises[index] = lend(subject)
  const after = await settledHeap()
  // Served to the last one, so that nothing of it could be optimized away, or was never queued.
  for (const lease of leases) subject.release(lease)
  for (const promise of promises) subject.release(await promise)
  return { bytesPerWaiter: (after - before) / waiters }
}

async function settledHeap() {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

export const TIMEOUT_MILLIS = 200

/** 10,000 callers run into their deadline together: what it costs to queue them, what the burst costs, how late it is. */
async function expiry(subject) {
  const waiters = 10_000
  await warm(subject)
  const leases = await Promise.all(Array.from({ length: RESOURCES }, () => lend(subject)))
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  let timedOut = 0
  let lastAt = 0
  let longestStall = 0
  let tickedAt = startedAt
  const ticker = setInterval(() => {
    const now = performance.now()
    longestStall = Math.max(longestStall, now - tickedAt)
    tickedAt = now
  }, 1)
  const ends = Array.from({ length: waiters }, () =>
    subject.acquire().then(
      (lease) => subject.release(lease),
      () => {
        timedOut++
        lastAt = performance.now()
      },
    ),
  )
  const enqueuedAt = performance.now()
  const ended = Promise.all(ends).then(() => true)
  const inTime = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5_000, false).unref())])
  clearInterval(ticker)
  const { user, system } = process.cpuUsage(cpuBefore)
  for (const lease of leases) subject.release(lease)
  await ended
  return {
    timedOut,
    queuedForEver: inTime ? 0 : waiters - timedOut,
    enqueueMicros: ((enqueuedAt - startedAt) * 1_000) / waiters,
    lastLateMillis: lastAt - enqueuedAt - TIMEOUT_MILLIS,
    longestStallMillis: longestStall,
    cpuMicrosPerWaiter: (user + system) / waiters,
  }
}

/** 10,000 callers who wait are told to stop, in the order in which they came, and then newest first. */
async function cancelling(subject) {
  if (subject.cancellable === undefined) return { supported: false }
  const waiters = 10_000
  await warm(subject)
  const leases = await Promise.all(Array.from({ length: RESOURCES }, () => lend(subject)))
  const nanos = []
  for (const order of ['oldest first', 'newest first', 'oldest first', 'newest first']) {
    const pending = Array.from({ length: waiters }, () => subject.cancellable())
    const ends = pending.map(({ promise }) => promise.catch(() => {}))
    if (order === 'newest first') pending.reverse()
    const startedAt = process.hrtime.bigint()
    for (const { cancel } of pending) cancel()
    nanos.push(Number(process.hrtime.bigint() - startedAt) / waiters)
    await Promise.all(ends)
  }
  for (const lease of leases) subject.release(lease)
  return { supported: true, oldestFirstNanos: nanos[2], newestFirstNanos: nanos[3] }
}
