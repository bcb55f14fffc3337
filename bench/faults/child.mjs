/**
 * One pool that is asked 100 times a second until standard input ends: `child.mjs SUBJECT CONFIG`. Says `ready` when the
 * first answer is there, and tells at the end what every caller saw and when a connection was tried, in milliseconds
 * of the wall clock; both on file descriptor 3, because drivers print what they like.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { SUBJECTS } from './subjects.mjs'

const [subject = '', config = '{}'] = process.argv.slice(2)
const EVERY_MILLIS = 10
const LAST_WORD_MILLIS = 1_500

const connects = []
const { connect } = Socket.prototype
Socket.prototype.connect = function (...args) {
  connects.push(Date.now())
  return connect.apply(this, args)
}

const query = await SUBJECTS[subject](JSON.parse(config))
await Promise.all(Array.from({ length: 10 }, () => query('SELECT pg_sleep(0.05)')))

/** Asked at, took, and the code of the error or nothing. */
const calls = []
const waiting = new Set()
async function call() {
  const askedAt = Date.now()
  const startedAt = performance.now()
  const mine = {}
  waiting.add(mine)
  let failure
  try {
    await query('SELECT 1')
  } catch (error) {
    failure = String(error?.code ?? error?.message ?? error)
  }
  waiting.delete(mine)
  calls.push([askedAt, Math.round(performance.now() - startedAt), ...(failure === undefined ? [] : [failure])])
}
const timer = setInterval(() => void call(), EVERY_MILLIS)
writeSync(3, 'ready\n')

process.stdin.resume()
process.stdin.on('end', () => {
  clearInterval(timer)
  setTimeout(() => {
    let rest = Buffer.from(JSON.stringify({ calls, connects, neverAnswered: waiting.size }))
    while (rest.length > 0) rest = rest.subarray(writeSync(3, rest))
    process.exit(0)
  }, LAST_WORD_MILLIS)
})
