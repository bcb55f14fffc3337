/**
 * The GETs of one client, one after the other, while somebody blocks on an empty list for 200 ms again and again.
 * Arguments: the name of a pair, the side of it, the target as JSON. Writes p50 and p99 in milliseconds as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../lib/statistics.mjs'
import { PAIRS } from './subjects.mjs'

const GETS = 500
const LONGEST_MILLIS = 10_000
const [, , name, side, target] = process.argv
const client = await PAIRS[name][side](JSON.parse(target))
for (let n = 0; n < 2_000; n++) await client.work()

let isOver = false
const blocker = (async () => {
  while (!isOver) await client.block(0.2)
})()
const times = []
const until = performance.now() + LONGEST_MILLIS
while (times.length < GETS && performance.now() < until) {
  const startedAt = performance.now()
  await client.work()
  times.push(performance.now() - startedAt)
  await sleep(5)
}
isOver = true
await blocker
await client.close()
times.sort((a, b) => a - b)
console.log(JSON.stringify({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) }))
process.exit(0)
