import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Results } from './run.ts'

const BIN_MILLIS = 100

/** The calls of every pool around the death of its server, by the time of the answer. */
export async function picture({ rounds, faultMillis }: Results): Promise<string> {
  const [fault = '', lasts = 0] = Object.entries(faultMillis)[0] ?? []
  const runs = (rounds[0] ?? []).filter((run) => run.fault === fault)
  const order = ['millpond', ...new Set(runs.map(({ subject }) => subject).filter((name) => name !== 'millpond'))]
  const values = runs.flatMap(({ subject, seen }) => {
    const bins = new Map<string, number>()
    for (const [askedAt, , took, failure] of seen.calls) {
      const second = (Math.floor((askedAt + took) / BIN_MILLIS) * BIN_MILLIS) / 1_000
      const key = `${second}|${failure === undefined ? 'answered' : 'failed'}`
      bins.set(key, (bins.get(key) ?? 0) + 1)
    }
    return Array.from(bins, ([key, calls]) => {
      const [second = '', outcome] = key.split('|')
      return { subject: seen.crashed ? `${subject} (crashed)` : subject, second: Number(second), outcome, calls }
    })
  })
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: `Calls, by the time of their end: ${fault}`,
    background: 'white',
    data: { values },
    facet: { row: { field: 'subject', sort: order, title: null, header: { labelAngle: 0, labelAlign: 'left' } } },
    spec: {
      width: 640,
      height: 60,
      layer: [
        {
          data: { values: [{ from: 0, to: lasts / 1_000 }] },
          mark: { type: 'rect', color: '#eee' },
          encoding: { x: { field: 'from', type: 'quantitative' }, x2: { field: 'to' } },
        },
        {
          mark: { type: 'bar', width: 4 },
          encoding: {
            x: { field: 'second', type: 'quantitative', title: 'seconds since the fault began' },
            y: {
              field: 'calls',
              type: 'quantitative',
              title: null,
              scale: { domain: [0, 30], clamp: true },
              axis: { tickCount: 3 },
            },
            color: {
              field: 'outcome',
              scale: { domain: ['answered', 'failed'], range: ['#2a7f62', '#c8401f'] },
              title: 'calls in 100 ms',
            },
          },
        },
      ],
    },
  }
  return await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
}
