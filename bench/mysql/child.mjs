/** One subject in the scenarios whose names begin so, in a process of its own; writes its figures as JSON. */
import { CONNECTIONS, SCENARIOS, SUBJECTS } from './subjects.mjs'

const [, , name, target, prefix = ''] = process.argv

async function measure({ operation, callers, warm, measured }) {
  const { operations, pool, close } = SUBJECTS[name]({ ...JSON.parse(target), connectionLimit: CONNECTIONS })
  const work = operations[operation]
  let figures
  if (work !== undefined) {
    const run = async (count, times) => {
      let left = count
      const caller = async () => {
        while (left-- > 0) {
          const startedAt = performance.now()
          await work(pool, left % 1_000)
          times.push(performance.now() - startedAt)
        }
      }
      await Promise.all(Array.from({ length: callers }, caller))
    }
    await run(warm, [])
    globalThis.gc?.()
    const times = []
    const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()]
    await run(measured, times)
    const elapsedMillis = performance.now() - startedAt
    const cpu = process.cpuUsage(cpuBefore)
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
for (const scenario of SCENARIOS.filter(({ name: full }) => full.startsWith(prefix))) {
  const figures = await measure(scenario)
  if (figures !== undefined) result[scenario.name] = figures
}
console.log(JSON.stringify(result))
