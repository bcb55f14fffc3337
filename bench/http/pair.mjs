/**
 * Two subjects in one process, in turns: blocks of so many requests, first one, then the other, in the next round the
 * other way round. Whatever else the machine does, and whatever the process is doing, hits both alike.
 */
import { SUBJECTS } from './subjects.mjs'

const [, , origin = '', own = '', other = '', concurrencyText = '10', roundsText = '15', blockText = '400'] =
  process.argv
const [concurrency, rounds, block] = [concurrencyText, roundsText, blockText].map(Number)

/** CPU of this process for each request of a block, in microseconds. */
async function run(subject, count) {
  let left = count
  const before = process.cpuUsage()
  const caller = async () => {
    while (left-- > 0) await subject.ask()
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const subjects = [SUBJECTS[own](origin), SUBJECTS[other](origin)]
for (let round = 0; round < 6; round++) for (const subject of subjects) await run(subject, block)
const results = []
for (let round = 0; round < rounds; round++) {
  const micros = [0, 0]
  for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
    // The collector is not called in between: a full collection at once throws away what the compiler has learned of
    // objects that live for one request only, and both would be compiled anew in every block.
    micros[index] = await run(subjects[index], block)
  }
  results.push({ own: micros[0], other: micros[1] })
}
console.log(JSON.stringify(results))
process.exit(0)
