import { describe, expect, it } from 'vitest'
import { ManualClock } from 'millpond/testing'
import { Alarm, Deadline, Deadlines } from '../../../src/core/deadlines.ts'

/** One that somebody waits for. */
class Awaited extends Alarm {
  override get awaited(): boolean {
    return true
  }
}

interface SetUp {
  readonly clock: ManualClock
  readonly deadlines: Deadlines
  readonly rung: string[]
  readonly swept: number[]
  alarm(millis: number, name?: string): Alarm
  awaited(millis: number): Alarm
}

function setUp(): SetUp {
  const clock = new ManualClock(0)
  const swept: number[] = []
  const rung: string[] = []
  const deadlines = new Deadlines(
    clock,
    (fn) => fn(),
    () => swept.push(clock.now()),
  )
  return {
    clock,
    deadlines,
    rung,
    swept,
    alarm: (millis, name = String(millis)) => new Alarm(millis, () => rung.push(name)),
    awaited: (millis) => new Awaited(millis, () => rung.push(`awaited ${millis}`)),
  }
}

/** The same numbers every time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) yield (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648)
}

describe('deadlines', () => {
  it('pass in order, whatever the order in which they were added, or left', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { clock, deadlines, rung } = setUp()
      const random = numbers(seed)
      const next = (below: number): number => random.next().value % below
      const due: Alarm[] = []
      const left = new Set<Alarm>()
      let inOrderAt = 0
      for (let count = 0; count < 60; count++) {
        const inOrder = next(3) === 0
        const at: number = inOrder ? (inOrderAt += next(20)) : 1 + next(400)
        const alarm: Alarm = new Alarm(at, () => rung.push(`${alarm.dueAt}`))
        if (inOrder) deadlines.addInOrder(alarm)
        else deadlines.add(alarm)
        due.push(alarm)
        if (next(3) === 0) {
          const other = due[next(due.length)] as Alarm
          deadlines.remove(other)
          left.add(other)
          expect(other.runs).toBe(false)
        }
      }
      const expected = due.filter((alarm) => !left.has(alarm)).map(({ dueAt }) => dueAt)
      for (let now = 0; now < 1_300; now += 50) {
        await clock.advance(50)
        // Nothing passes before its time, and nothing that is due is still there a turn later.
        expect(rung.map(Number).toSorted((a, b) => a - b)).toEqual(
          expected.filter((at) => at <= clock.now()).toSorted((a, b) => a - b),
        )
      }
      expect(rung.map(Number)).toEqual(expected.toSorted((a, b) => a - b))
      expect(clock.pendingTimers).toBe(0)
    }
  })

  it('are one timer, set for the earliest of them', async () => {
    const { clock, deadlines, rung, alarm, swept } = setUp()
    deadlines.add(alarm(300))
    deadlines.add(alarm(100))
    deadlines.addInOrder(alarm(200))
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(100)
    expect(rung).toEqual(['100'])
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(99)
    expect(rung).toEqual(['100'])
    await clock.advance(101)
    expect(rung).toEqual(['100', '200', '300'])
    expect(clock.pendingTimers).toBe(0)
    expect(swept).toEqual([100, 200, 300])
  })

  it('hold the process only while somebody waits for one', async () => {
    const { clock, deadlines, alarm, awaited: waiting } = setUp()
    const [quiet, awaited, other] = [alarm(100), waiting(200), waiting(300)]
    deadlines.add(quiet)
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
    deadlines.add(awaited)
    deadlines.addInOrder(other)
    expect(clock.pendingRefTimers).toBe(1)
    deadlines.remove(awaited)
    deadlines.remove(awaited)
    expect(clock.pendingRefTimers).toBe(1)
    deadlines.remove(other)
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
    // The next timer, too, does not hold it.
    deadlines.add(alarm(50))
    expect(clock.pendingRefTimers).toBe(0)
    const again = waiting(40)
    deadlines.add(again)
    expect(clock.pendingRefTimers).toBe(1)
    await clock.advance(40)
    // It is over, also for a deadline that does not remove itself.
    deadlines.remove(again)
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
    await clock.advance(100)
  })

  it('hold the process also for one that is never due, where a timer is set', () => {
    const { clock, deadlines, alarm, awaited } = setUp()
    const never = awaited(Infinity)
    deadlines.add(alarm(100))
    deadlines.add(never)
    expect(never.runs).toBe(true)
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 1])
    deadlines.remove(never)
    expect(never.runs).toBe(false)
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
  })

  it('set no timer for one that is never due', () => {
    const { clock, deadlines, alarm } = setUp()
    deadlines.add(alarm(Infinity))
    expect(clock.pendingTimers).toBe(0)
  })

  it('are served until the turn is over in which they fell due', async () => {
    const { clock, deadlines } = setUp()
    const served: boolean[] = []
    const alarm: Alarm = new Alarm(100, () => served.push(deadlines.serves(alarm), deadlines.serves(later)))
    const later = new Alarm(101, () => undefined)
    deadlines.add(alarm)
    deadlines.add(later)
    clock.setTimer(() => served.push(deadlines.serves(alarm)), 100)
    await clock.stall(100)
    expect(served).toEqual([true, false, true])
    await clock.advance(1)
    expect(deadlines.serves(later)).toBe(false)
  })

  it('pass in slices, so that thousands block nobody, and are swept when the last has passed', async () => {
    const { clock, deadlines, swept } = setUp()
    let passed = 0
    const turns: number[] = []
    for (let count = 0; count < 1_100; count++) deadlines.addInOrder(new Alarm(10, () => passed++))
    const afterTurn = clock.afterTurn.bind(clock)
    clock.afterTurn = (callback) => {
      afterTurn(() => {
        callback()
        turns.push(passed)
      })
    }
    await clock.advance(10)
    expect(turns).toEqual([512, 1_024, 1_100])
    expect(swept).toEqual([10])
  })

  it('that fall due while others pass wait for their own timer', async () => {
    const { clock, deadlines, rung, alarm } = setUp()
    deadlines.add(
      new Alarm(10, () => {
        rung.push('first')
        deadlines.add(alarm(10, 'of the same time'))
        deadlines.add(alarm(15))
      }),
    )
    await clock.advance(10)
    expect(rung).toEqual(['first', 'of the same time'])
    await clock.advance(5)
    expect(rung).toEqual(['first', 'of the same time', '15'])
  })

  it('are moved once by the length of a stall, those that it made late, and no others', async () => {
    const { clock, deadlines, rung, alarm } = setUp()
    const [due, inLane, far] = [alarm(100), alarm(150), alarm(1_000)]
    deadlines.add(due)
    deadlines.add(far)
    deadlines.addInOrder(inLane)
    await clock.stall(300)
    expect(rung).toEqual([])
    expect([due, inLane, far].map(({ dueAt, stallMillis }) => [dueAt, stallMillis])).toEqual([
      [500, 200],
      [500, 200],
      [1_000, 0],
    ])
    // The second stall does not move them again.
    await clock.stall(400)
    expect(rung.toSorted()).toEqual(['100', '150'])
    expect(far.dueAt).toBe(1_000)
    await clock.stall(9_000)
    expect(far).toMatchObject({ dueAt: 9_700 + 1_000, stallMillis: 1_000 })
    await clock.advance(999)
    expect(rung).toHaveLength(2)
    await clock.advance(1)
    expect(rung).toHaveLength(3)
  })

  it('are not moved by a hiccup', async () => {
    const { clock, deadlines, rung, alarm } = setUp()
    deadlines.add(alarm(100))
    await clock.stall(150)
    expect(rung).toEqual(['100'])
    deadlines.add(alarm(200, 'next'))
    await clock.stall(101)
    expect(rung).toEqual(['100'])
    await clock.advance(51)
    expect(rung).toEqual(['100', 'next'])
  })

  it('forget one that does not remove itself', async () => {
    const { clock, deadlines } = setUp()
    let passed = 0
    class Stubborn extends Deadline {
      override expire(): void {
        passed++
      }
    }
    const stubborn = new Stubborn(10)
    expect(stubborn.awaited).toBe(false)
    deadlines.add(stubborn)
    expect(stubborn.runs).toBe(true)
    await clock.advance(100)
    expect([passed, stubborn.runs, clock.pendingTimers]).toEqual([1, false, 0])
  })

  it('leave no timer where the pool is closed, and begin anew with the next', async () => {
    const { clock, deadlines, rung, alarm } = setUp()
    deadlines.add(alarm(100))
    deadlines.stop()
    deadlines.stop()
    expect(clock.pendingTimers).toBe(0)
    deadlines.add(alarm(200))
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(200)
    expect(rung).toEqual(['100', '200'])
  })

  it('keep their order in the lane also where most have left it', async () => {
    const { clock, deadlines, rung, alarm } = setUp()
    const all = Array.from({ length: 900 }, (_, index) => alarm(1_000 + index))
    for (const each of all) deadlines.addInOrder(each)
    for (const [index, each] of all.entries()) if (index % 10 !== 5) deadlines.remove(each)
    const later = alarm(2_500)
    deadlines.addInOrder(later)
    for (const each of all.slice(0, 100)) deadlines.remove(each)
    await clock.advance(3_000)
    expect(rung).toEqual(
      [...all.filter((_, index) => index >= 100 && index % 10 === 5), later].map((each) => `${each.dueAt}`),
    )
  })
})
