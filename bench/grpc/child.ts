/** One subject in one scenario, in a process of its own; writes its figures as JSON. */
import { SCENARIOS, SUBJECTS } from './subjects.ts'

const [, , subjectName = '', scenarioName = '', target = ''] = process.argv
const scenario = SCENARIOS[scenarioName]
const make = SUBJECTS[subjectName]
if (scenario === undefined || make === undefined) throw new Error(`unknown: ${subjectName}, ${scenarioName}`)
const { callers, sleepMillis, seconds } = scenario
const subject = make(target)
const times: number[] = []
const WARM_MILLIS = 700

let [measuring, over] = [false, false]
async function caller(): Promise<void> {
  while (!over) {
    const startedAt = performance.now()
    await subject.call({ sleepMillis })
    if (measuring) times.push(performance.now() - startedAt)
  }
}
const sleep = (millis: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, millis)
  })

const done = Promise.all(Array.from({ length: callers }, caller))
await sleep(WARM_MILLIS)
measuring = true
const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()]
await sleep(seconds * 1_000)
const elapsedMillis = performance.now() - startedAt
const cpu = process.cpuUsage(cpuBefore)
measuring = false
over = true
await done
await subject.close()

times.sort((a, b) => a - b)
const quantile = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN
console.log(
  JSON.stringify({
    perSecond: (times.length / elapsedMillis) * 1_000,
    p50: quantile(0.5),
    p99: quantile(0.99),
    cpuMicros: (cpu.user + cpu.system) / times.length,
  }),
)
