/** One subject in a process of its own, with 10 and with 100 requests at a time; prints its figures as JSON. */
import { SUBJECTS } from './subjects.mjs'

const [, , name = '', origin = '', millisText = '700'] = process.argv
const millis = Number(millisText)
const make = SUBJECTS[name]
if (make === undefined) throw new Error(`unknown subject: ${name}`)

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time))

async function measure(concurrency) {
  const subject = make(origin)
  const times = []
  let [measuring, over] = [false, false]
  const caller = async () => {
    while (!over) {
      const startedAt = performance.now()
      const text = await subject.work()
      if (text.length !== 150) throw new Error(`expected 150 characters, got ${text.length}`)
      if (measuring) times.push(performance.now() - startedAt)
    }
  }
  const done = Promise.all(Array.from({ length: concurrency }, caller))
  await sleep(millis)
  measuring = true
  const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()]
  await sleep(millis)
  const cpu = process.cpuUsage(cpuBefore)
  const elapsed = performance.now() - startedAt
  measuring = false
  over = true
  await done
  await subject.close()
  times.sort((a, b) => a - b)
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))]
  return {
    perSecond: (times.length / elapsed) * 1_000,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicros: (cpu.user + cpu.system) / times.length,
  }
}

console.log(JSON.stringify({ 10: await measure(10), 100: await measure(100) }))
process.exit(0)
