import { describe, expect, it } from 'vitest'
import { ControlledDelay } from '../../../src/core/load.ts'

/** Whoever has waited more than 200 ms is shed when for 500 ms nobody was served within 100. */
const delay = (): ControlledDelay => new ControlledDelay({ targetMillis: 100, intervalMillis: 500 })

/** Has somebody served every 10 ms after such a wait; returns from when on 201 ms would be too long. */
function serve(
  control: ControlledDelay,
  from: number,
  until: number,
  waited: (at: number) => number,
): number | undefined {
  let shedFrom: number | undefined
  for (let at = from; at < until; at += 10) {
    control.note(at, waited(at))
    if (control.sheds(201)) shedFrom ??= at
  }
  return shedFrom
}

describe('controlled delay', () => {
  it('sheds nobody while one in every interval is served within the target', () => {
    expect(serve(delay(), 0, 5_000, (at) => (at % 490 === 0 ? 100 : 400))).toBeUndefined()
  })

  it('sheds whoever has waited twice the target once the queue has stood for an interval', () => {
    const control = delay()
    expect(serve(control, 0, 2_000, () => 101)).toBe(500)
    expect([200, 201].map((waited) => control.sheds(waited))).toEqual([false, true])
  })

  it('is over when the queue is empty, or was served within the target again', () => {
    const emptied = delay()
    serve(emptied, 0, 1_000, () => 150)
    emptied.noteEmpty(1_000)
    expect(emptied.sheds(1_000)).toBe(false)
    const drained = delay()
    serve(drained, 0, 1_000, () => 150)
    expect(drained.sheds(201)).toBe(true)
    expect(serve(drained, 1_000, 3_000, () => 50)).toBeUndefined()
  })

  it('goes on at once where it was over only for a moment: a stall had shed everybody', () => {
    const emptied = delay()
    serve(emptied, 0, 1_000, () => 150)
    emptied.noteEmpty(1_000)
    // The queue grows again as fast as before: nobody has to wait until an interval has shown that it stands.
    expect(serve(emptied, 1_000, 1_400, (at) => at - 1_000)).toBe(1_110)
    const drained = delay()
    serve(drained, 0, 1_000, () => 150)
    serve(drained, 1_000, 1_010, () => 50)
    expect(serve(drained, 1_010, 1_400, (at) => at - 1_010)).toBe(1_120)
  })

  it('takes what comes an interval later for a new burst', () => {
    const control = delay()
    serve(control, 0, 1_000, () => 150)
    control.noteEmpty(1_000)
    expect(serve(control, 1_500, 1_900, () => 400)).toBeUndefined()
    // And an empty queue that was no overload makes nobody impatient.
    const calm = delay()
    serve(calm, 0, 1_000, () => 10)
    calm.noteEmpty(1_000)
    expect(serve(calm, 1_010, 1_400, () => 400)).toBeUndefined()
  })
})
