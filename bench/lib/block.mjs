import { quantile } from './statistics.mjs'

/**
 * @typedef {{ perSecond: number, cpuMicros: number, p50: number, p99: number }} Figures
 *   Operations a second, CPU of this process (user and system) for one of them, milliseconds that one took.
 * @typedef {{ work(n: number): Promise<unknown>, close(): unknown }} Client
 */

/**
 * So many operations, by so many callers, each of whom asks again as soon as it is answered.
 *
 * @param {Client} client
 * @param {number} callers
 * @param {number} operations
 * @returns {Promise<Figures>}
 */
export async function block(client, callers, operations) {
  const times = new Float64Array(operations)
  let left = operations
  const caller = async () => {
    while (left > 0) {
      const index = --left
      const startedAt = performance.now()
      await client.work(index)
      times[index] = performance.now() - startedAt
    }
  }
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: callers }, caller))
  const millis = performance.now() - startedAt
  const { user, system } = process.cpuUsage(before)
  times.sort()
  return {
    perSecond: (operations / millis) * 1_000,
    cpuMicros: (user + system) / operations,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  }
}
