import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'
import { CommandTimes } from '../../../src/adapters/redis/command-times.ts'
import type { DriverClient } from '../../../src/adapters/redis/driver.ts'

/** Sends so many commands, one after the other, each of which is answered after 2 ms; the rest of the time nobody asks. */
async function send(commands: number, everyMillis: number): Promise<{ timed: number; pool: Pool<DriverClient> }> {
  const clock = new ManualClock()
  const pool = new Pool(new FakeFactory(), { clock }) as unknown as Pool<DriverClient>
  const times = new CommandTimes(pool)
  let timed = 0
  for (let command = 0; command < commands; command++) {
    times.sent++
    const answered = times.due
      ? times.take(async () => {
          timed++
          await clock.advance(2)
        })
      : clock.advance(2)
    await answered
    await clock.advance(everyMillis - 2)
  }
  return { timed, pool }
}

describe('the time that commands of the shared lane take', () => {
  it('is taken of all of them where they are few', async () => {
    const { timed, pool } = await send(20, 100)
    expect(timed).toBe(20)
    expect(pool.stats()).toMatchObject({ wait: { count: 20, p99: 0 }, use: { count: 20, mean: 2, max: 2 } })
    await pool.close()
  })

  it('is taken of some of many, which stand for the others', async () => {
    const { timed, pool } = await send(2_000, 3)
    expect(timed).toBeLessThan(1_000)
    expect(timed).toBeGreaterThan(50)
    const { wait, use } = pool.stats()
    // The last ones may have been none of those.
    expect(use.count).toBeGreaterThan(1_900)
    expect(use.count).toBeLessThanOrEqual(2_000)
    expect([wait.count, use.mean, use.max]).toEqual([use.count, 2, 2])
    await pool.close()
  })
})
