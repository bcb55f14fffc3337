import { describe, expect, it } from 'vitest'
import { figures, pick } from '../support/chaos.ts'
import { whatGrew, type Rest } from '../support/soak/rest.ts'
import { Soak } from '../support/soak/soak.ts'

it('C24: a soak of random faults finds nothing wrong', { timeout: 600_000 }, async () => {
  const soak = new Soak({
    millis: pick(180_000, 5_000),
    faultEveryMillis: pick([1_000, 4_000] as const, [300, 800] as const),
    checkEveryMillis: pick(30_000, 2_500),
    callsPerSecond: 100,
    burst: pick(10_000, 1_000),
    callsAtRest: pick(2_000, 500),
    seed: 24,
    say: () => undefined,
  })
  const { faults, outcomes, stats, rests, heapMegabytesPerHour, longestAcquireMillis, problems } = await soak.run()
  figures('C24 soak on PostgreSQL', {
    faults: Object.values(faults).reduce((sum, count) => sum + count, 0),
    ...outcomes,
    created: stats.created,
    'longest acquire ms': longestAcquireMillis,
    rests: rests.length,
    'sockets at rest': rests.at(-1)?.resources['TCPSocketWrap'] ?? 0,
    'listeners at rest': JSON.stringify(rests.at(-1)?.listeners),
    'heap at rest MB': `${rests[0]?.heapMegabytes.toFixed(1)} → ${rests.at(-1)?.heapMegabytes.toFixed(1)}`,
    'heap growth MB/h': heapMegabytesPerHour,
  })
  expect(problems).toEqual([])
  expect(outcomes['ok']).toBeGreaterThan(100)
})

describe('what a soak takes for growth', () => {
  const calm: Rest = {
    minute: 1,
    calls: 1_000,
    heapMegabytes: 13,
    codeMegabytes: 4,
    resources: { Timeout: 2, TCPServerWrap: 1 },
    listeners: { process: 9, pool: 0, 'shared signal': 0, client: 3, socket: 5 },
  }
  const next = (change: Partial<Rest>): Rest => ({ ...calm, minute: 2, calls: 5_000, ...change })

  it.each<[string, Rest[], string[]]>([
    ['nothing, where all is as it was', [calm, next({}), next({})], []],
    [
      'a socket more',
      [calm, next({ resources: { ...calm.resources, TCPSocketWrap: 1 } })],
      ['1 TCPSocketWrap at rest, 0'],
    ],
    ['a timer more is this program’s own', [calm, next({ resources: { ...calm.resources, Timeout: 3 } })], []],
    ['three timers more', [calm, next({ resources: { ...calm.resources, Timeout: 5 } })], ['5 Timeout at rest, 2']],
    [
      'a listener that stays on a signal that many share',
      [calm, next({ listeners: { ...calm.listeners, 'shared signal': 1 } })],
      ['1 listeners of the shared signal, 0'],
    ],
    [
      'a run of minutes whose heap grows',
      [calm, next({ heapMegabytes: 15.2 }), next({ heapMegabytes: 15.3 })],
      ['grown by 2.20 MB in 4000 calls'],
    ],
    ['one rest that the collector came late to', [calm, next({}), next({ heapMegabytes: 16 })], []],
    [
      'an hour whose heap grows slowly',
      Array.from({ length: 30 }, (_, index) => next({ minute: 2 * index, heapMegabytes: 13 + index / 25 })),
      ['the heap grows by 1.20 MB an hour'],
    ],
  ])('%s', (_, rests, problems) => {
    const found = whatGrew(rests)
    expect(found).toHaveLength(problems.length)
    for (const [index, part] of problems.entries()) expect(found[index]).toContain(part)
  })
})
