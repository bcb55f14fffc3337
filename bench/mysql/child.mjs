/** One subject in every scenario, in a process of its own; writes its figures as JSON. */
import { CONNECTIONS, SCENARIOS, SUBJECTS } from './subjects.mjs'

const [, , name, target, millis] = process.argv
const WARM_MILLIS = 400
const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time))

async function measure({ operation, callers }) {
  const { operations, pool, close } = SUBJECTS[name]({ ...JSON.parse(target), connectionLimit: CONNECTIONS })
  const work = operations[operation]
  let figures
  if (work !== undefined) {
    const times = []
    let [measuring, over] = [false, false]
    const caller = async (number) => {
      for (let turn = number; !over; turn += callers) {
        const startedAt = performance.now()
        await work(pool, turn % 1_000)
        if (measuring) times.push(performance.now() - startedAt)
      }
    }
    const done = Promise.all(Array.from({ length: callers }, (_, number) => caller(number)))
    await sleep(WARM_MILLIS)
    globalThis.gc?.()
    measuring = true
    const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()]
    await sleep(Number(millis))
    const elapsedMillis = performance.now() - startedAt
    const cpu = process.cpuUsage(cpuBefore)
    measuring = false
    over = true
    await done
    times.sort((a, b) => a - b)
    const quantile = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))]
    figures = {
      perSecond: (times.length / elapsedMillis) * 1_000,
      p50: quantile(0.5),
      p99: quantile(0.99),
      cpuMicros: (cpu.user + cpu.system) / times.length,
    }
  }
  await close()
  return figures
}

const result = {}
for (const scenario of SCENARIOS) {
  const figures = await measure(scenario)
  if (figures !== undefined) result[scenario.name] = figures
}
console.log(JSON.stringify(result))
