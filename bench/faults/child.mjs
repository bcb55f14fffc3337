/**
 * One pool that is asked until standard input ends: `child.mjs SUBJECT CONFIG OPTIONS LOAD`; a line of standard input
 * changes the load. Says `ready` when all connections have answered, and tells at the end what every caller saw and when
 * a connection was tried and was closed, in milliseconds of the wall clock; both on file descriptor 3, because drivers print what they
 * like.
 *
 * @typedef {{ everyMillis: number, calls: number, sleepMillis: number }} Load
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { SUBJECTS } from './subjects.mjs'

const [subject = '', config = '{}', options = '{}', load = '{}'] = process.argv.slice(2)
const { max, statementMillis } = JSON.parse(options)
const LAST_WORD_MILLIS = 1_500

/** Of every socket: when it was told to connect, and when it was closed. */
const sockets = []
const { connect } = Socket.prototype
Socket.prototype.connect = function (...args) {
  const life = [Date.now()]
  sockets.push(life)
  this.once('close', () => life.push(Date.now()))
  return connect.apply(this, args)
}

const ask = await SUBJECTS[subject](JSON.parse(config), { max, statementMillis })
const sleeping = (millis) => `SELECT ${subject.includes('MariaDB') ? 'SLEEP' : 'pg_sleep'}(${millis / 1_000})`
// All open, and those that the server refuses at first asked again by nobody.
await Promise.allSettled(Array.from({ length: max }, () => ask(sleeping(50), () => {})))

/** Asked at, waited for a connection, took in all, and the code of the error or nothing. */
const calls = []
const waiting = new Set()
async function call(text) {
  const askedAt = Date.now()
  const startedAt = performance.now()
  const passed = () => Math.round(performance.now() - startedAt)
  const mine = {}
  waiting.add(mine)
  let waited
  let failure
  try {
    await ask(text, () => (waited = passed()))
  } catch (error) {
    failure = String(error?.code ?? error?.message ?? error)
  }
  waiting.delete(mine)
  const took = passed()
  calls.push([askedAt, waited ?? took, took, ...(failure === undefined ? [] : [failure])])
}

let timer
function begin({ everyMillis, calls: count, sleepMillis }) {
  clearInterval(timer)
  const text = sleepMillis > 0 ? sleeping(sleepMillis) : 'SELECT 1'
  timer = setInterval(() => {
    for (let index = 0; index < count; index++) void call(text)
  }, everyMillis)
}
begin(JSON.parse(load))
writeSync(3, 'ready\n')

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => begin(JSON.parse(line)))
lines.on('close', () => {
  clearInterval(timer)
  // Before anything ends because this program does.
  const told = sockets.map((life) => [...life])
  setTimeout(() => {
    let rest = Buffer.from(JSON.stringify({ calls, sockets: told, neverAnswered: waiting.size }))
    while (rest.length > 0) rest = rest.subarray(writeSync(3, rest))
    process.exit(0)
  }, LAST_WORD_MILLIS)
})
