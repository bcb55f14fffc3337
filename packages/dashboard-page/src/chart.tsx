import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import type { History, SeriesName } from '../../../src/dashboard/history.ts'
import { drawNever, drawSoon } from './drawing.ts'
import { clock, count, millis } from './format.ts'

export interface Line {
  readonly series: SeriesName
  readonly label: string
  /** A custom property of the style sheet, so that both themes have their own colour. */
  readonly colour: string
  readonly dashed?: boolean
  /** Stands on the one before it, filled. */
  readonly stacked?: boolean
}

interface ChartProps {
  readonly title: string
  readonly lines: readonly Line[]
  readonly history: History
  readonly windowMillis: number
  readonly unit: 'count' | 'millis'
  readonly height: number
  /** Changes with every sample. */
  readonly at: number
  readonly theme: string
  /** Without axes and legend. */
  readonly small?: boolean
}

/** Stacked lines become sums, drawn from the highest to the lowest so that each covers what is below it. */
function dataOf(history: History, lines: readonly Line[], windowMillis: number): uPlot.AlignedData {
  const names = lines.map(({ series }) => series)
  const { times, columns } = history.columns(windowMillis, names)
  let below: readonly (number | null)[] | undefined
  const drawn = lines.map(({ stacked }, index) => {
    const column = columns[index] ?? []
    if (stacked !== true) return column
    const beneath = below
    below = beneath === undefined ? column : column.map((value, row) => (value ?? 0) + (beneath[row] ?? 0))
    return below
  })
  return [times.map((time) => time / 1_000), ...reordered(lines, drawn)] as unknown as uPlot.AlignedData
}

function reordered<T>(lines: readonly Line[], items: readonly T[]): T[] {
  const stacked = items.filter((_, index) => lines[index]?.stacked === true)
  return [...stacked.reverse(), ...items.filter((_, index) => lines[index]?.stacked !== true)]
}

function optionsOf({ lines, unit, height, small }: ChartProps, width: number, element: Element): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const axis: uPlot.Axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  return {
    width,
    height,
    padding: small === true ? [4, 0, 0, 0] : [8, 28, 0, 0],
    cursor: { show: small !== true, drag: { x: false, y: false }, points: { size: 5 } },
    legend: { show: false },
    scales: {
      x: { time: true },
      y: { range: (_, __, highest) => [0, Math.max(1, highest * 1.1)] },
    },
    axes: [
      { ...axis, show: small !== true, space: 72, size: 26, incrs: SECONDS, values: (_, splits) => timesOf(splits) },
      {
        ...axis,
        show: small !== true,
        size: 56,
        incrs: unit === 'count' ? WHOLE : TENTHS,
        values: (_, splits) => splits.map((value) => (unit === 'millis' ? millis(value) : count(value))),
      },
    ],
    series: [
      {},
      ...reordered(lines, lines).map(({ label, colour: name, dashed, stacked }): uPlot.Series => ({
        label,
        stroke: colour(name),
        width: stacked === true ? 0 : small === true ? 1.5 : 2,
        points: { show: false },
        ...(stacked === true ? { fill: colour(name) } : {}),
        ...(dashed === true ? { dash: [4, 4] } : {}),
      })),
    ],
  }
}

/** Steps of an axis that counts: there is no half of a connection. */
const WHOLE = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].flatMap((unit) => [unit, 2 * unit, 5 * unit])
/** Of one that shows durations: they are written with one digit behind the point. */
const TENTHS = [0.1, 0.2, 0.5, ...WHOLE]
/** Of time itself: what lies closer together would be written alike. */
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600]

/** Hours and minutes; seconds too, where they tell one from the next. */
function timesOf(splits: readonly number[]): string[] {
  const [first = 0, second = Infinity] = splits
  const length = second - first < 60 ? 8 : 5
  return splits.map((seconds) => clock(seconds * 1_000).slice(0, length))
}

/** One chart over time. What it shows is also said in words, for those who do not see it. */
export function Chart(props: ChartProps) {
  const { title, lines, history, windowMillis, unit, height, at, theme, small } = props
  const box = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const redraw = useRef<() => void>(() => undefined)

  useEffect(() => {
    const element = box.current
    if (element === null) return
    let plot: uPlot | undefined
    let isSeen = false
    const draw = (): void => {
      // What is scrolled away is not drawn, and not even made before it is first seen.
      if (!isSeen) return
      const { history: shown, lines: drawn, windowMillis: window } = latest.current
      const data = dataOf(shown, drawn, window)
      if (plot === undefined) plot = new uPlot(optionsOf(latest.current, element.clientWidth, element), data, element)
      else plot.setData(data)
    }
    redraw.current = draw
    const resized = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    const seen = new IntersectionObserver(
      ([entry]) => {
        isSeen = entry?.isIntersecting ?? true
        if (isSeen) drawSoon(draw)
      },
      { rootMargin: '200px' },
    )
    seen.observe(element)
    return () => {
      drawNever(draw)
      resized.disconnect()
      seen.disconnect()
      plot?.destroy()
    }
  }, [theme, height])

  useEffect(() => drawSoon(redraw.current), [at, windowMillis, history, theme])

  const says = lines.map(({ label, series }) => {
    const value = history.last(series)
    return `${label} ${unit === 'millis' ? millis(value) : count(value)}`
  })
  return (
    <figure class={small === true ? 'chart small' : 'chart'}>
      {small === true ? null : (
        <figcaption>
          <h3>{title}</h3>
          <ul class="legend">
            {lines.map((line, index) => (
              <li key={line.series}>
                <span
                  class={line.dashed === true ? 'swatch dashed' : 'swatch'}
                  ref={(swatch) => swatch?.style.setProperty('--swatch', `var(${line.colour})`)}
                />
                {says[index]}
              </li>
            ))}
          </ul>
        </figcaption>
      )}
      <div class="plot" ref={box} role="img" aria-label={`${title}: ${says.join(', ')}`} />
    </figure>
  )
}

export const CONNECTIONS: readonly Line[] = [
  { series: 'used', label: 'used', colour: '--used', stacked: true },
  { series: 'idle', label: 'idle', colour: '--idle', stacked: true },
  { series: 'creating', label: 'creating', colour: '--creating', stacked: true },
  { series: 'max', label: 'max', colour: '--bound', dashed: true },
]
export const WAITING: readonly Line[] = [{ series: 'waiting', label: 'waiting', colour: '--waiting' }]
export const OLDEST: readonly Line[] = [{ series: 'oldestWaiterMillis', label: 'oldest waiter', colour: '--waiting' }]
export const WAIT_TIMES: readonly Line[] = [
  { series: 'waitP50', label: 'p50', colour: '--p50' },
  { series: 'waitP95', label: 'p95', colour: '--p95' },
  { series: 'waitP99', label: 'p99', colour: '--p99' },
]
export const USE_TIMES: readonly Line[] = [
  { series: 'useP50', label: 'p50', colour: '--p50' },
  { series: 'useP95', label: 'p95', colour: '--p95' },
  { series: 'useP99', label: 'p99', colour: '--p99' },
]
export const RATES: readonly Line[] = [
  { series: 'acquiresPerSecond', label: 'acquires a second', colour: '--used' },
  { series: 'failuresPerSecond', label: 'failures a second', colour: '--waiting' },
]
