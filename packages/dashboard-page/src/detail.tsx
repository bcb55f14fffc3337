import { useEffect, useState } from 'preact/hooks'
import type { AdviceView, EventView, PartView, PoolDetail, SettingView } from '../../../src/dashboard/protocol.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../../../src/core/report.ts'
import type { SlowGroup } from '../../../src/monitoring/watch/slow-log.ts'
import { ActionBar, useActions } from './actions.tsx'
import { Chart, CONNECTIONS, OLDEST, RATES, USE_TIMES, WAITING, WAIT_TIMES, type Line } from './chart.tsx'
import { clock, count, millis, percent, words } from './format.ts'
import type { LivePool } from './live.ts'
import { unlimited } from './received.ts'
import { Status } from './status.tsx'
import { Table, type Column } from './table.tsx'

interface DetailProps {
  readonly pool: LivePool
  readonly windowMillis: number
  readonly at: number
  readonly theme: string
  readonly actions: boolean
}

/** Asked for anew with every tick, while somebody looks. */
function useDetail(key: string, at: number): PoolDetail | undefined {
  const [detail, setDetail] = useState<PoolDetail>()
  useEffect(() => {
    const gone = new AbortController()
    fetch(`pool?key=${encodeURIComponent(key)}`, { signal: gone.signal })
      .then(async (response) => (response.ok ? setDetail((await response.json()) as PoolDetail) : undefined))
      .catch(() => undefined)
    return () => gone.abort()
  }, [key, at])
  return detail?.key === key ? detail : undefined
}

const CHARTS: readonly { title: string; lines: readonly Line[]; unit: 'count' | 'millis' }[] = [
  { title: 'Connections', lines: CONNECTIONS, unit: 'count' },
  { title: 'Callers waiting', lines: WAITING, unit: 'count' },
  { title: 'Time to get a connection', lines: WAIT_TIMES, unit: 'millis' },
  { title: 'Time a connection is used', lines: USE_TIMES, unit: 'millis' },
  { title: 'Acquires', lines: RATES, unit: 'count' },
  { title: 'Longest wait', lines: OLDEST, unit: 'millis' },
]

function Stack({ stack }: { readonly stack: string | undefined }) {
  if (stack === undefined) return <span class="muted">not tracked</span>
  const [first = '', ...rest] = stack
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
  return (
    <details>
      <summary>{first.replace(/^at /, '')}</summary>
      <pre>{rest.join('\n')}</pre>
    </details>
  )
}

/** Each part counts its connections from 1, and a multiplexed one has several leases. */
function keyOf({ resourceId, part }: { readonly resourceId: number; readonly part?: string }, index: number): string {
  return `${part ?? ''}-${resourceId}-${index}`
}

/** A column for what a row is part of, where the pool consists of several. */
function partOf<R extends { readonly part?: string }>(rows: readonly R[] = []): Column<R>[] {
  return rows.some(({ part }) => part !== undefined) ? [{ head: 'part', cell: ({ part }) => part, long: true }] : []
}

/** One pool, all of it. */
export function Detail({ pool: { view, history }, windowMillis, at, theme, actions }: DetailProps) {
  const detail = useDetail(view.key, at)
  const { ask, element } = useActions(view)
  const { stats } = view
  const may = actions ? (detail?.actions ?? []) : []
  return (
    <div class="detail">
      <p>
        <a href="#">← All pools</a>
      </p>
      <header>
        <h2>{stats.name}</h2>
        <span class="kind">{stats.kind}</span>
        {view.required ? <span class="kind">required</span> : null}
        <span class="instance">{view.instance}</span>
        <Status pool={view} />
      </header>
      {detail?.advice.map((advice) => (
        <Advice key={advice.verdict + advice.reason} {...advice} />
      ))}
      <div class="charts">
        {CHARTS.map(({ title, lines, unit }) => (
          <Chart
            key={title}
            title={title}
            lines={lines}
            history={history}
            windowMillis={windowMillis}
            unit={unit}
            height={160}
            at={at}
            theme={theme}
          />
        ))}
      </div>
      {detail !== undefined && may.length > 0 ? (
        <ActionBar pool={view} allowed={may} now={detail.sizes} ask={ask} />
      ) : null}
      {element}
      <Table<LeaseInfo>
        title="Leases"
        rows={detail?.leases ?? []}
        more={detail?.more.leases ?? 0}
        nothing="Nobody holds a connection."
        keyOf={keyOf}
        columns={[
          { head: 'connection', cell: ({ resourceId }) => resourceId, numeric: true },
          ...partOf(detail?.leases),
          { head: 'held for', cell: ({ heldMillis }) => millis(heldMillis), numeric: true },
          { head: 'label', cell: ({ label }) => label ?? <span class="muted">none</span> },
          { head: 'acquired at', cell: ({ stack }) => <Stack stack={stack} />, long: true },
          ...(may.includes('kill')
            ? [
                {
                  head: 'action',
                  cell: ({ resourceId, part }: LeaseInfo) => (
                    <button
                      type="button"
                      onClick={() => ask({ action: 'kill', resourceId, ...(part === undefined ? {} : { part }) })}
                    >
                      Take away
                      <span class="hidden">
                        {' '}
                        connection {resourceId}
                        {part === undefined ? '' : ` of ${part}`}
                      </span>
                    </button>
                  ),
                },
              ]
            : []),
        ]}
      />
      <Table<WaiterInfo>
        title="Waiters"
        rows={detail?.waiters ?? []}
        more={detail?.more.waiters ?? 0}
        nothing="Nobody waits."
        keyOf={(_, index) => index}
        columns={[
          ...partOf(detail?.waiters),
          { head: 'waits for', cell: ({ waitedMillis }) => millis(waitedMillis), numeric: true },
          { head: 'priority', cell: ({ priority }) => priority, numeric: true },
          { head: 'label', cell: ({ label }) => label ?? <span class="muted">none</span> },
        ]}
      />
      <Table<ResourceInfo>
        title="Connections"
        rows={detail?.resources ?? []}
        nothing="None is open."
        keyOf={keyOf}
        columns={[
          { head: 'connection', cell: ({ resourceId }) => resourceId, numeric: true },
          ...partOf(detail?.resources),
          { head: 'age', cell: ({ ageMillis }) => millis(ageMillis), numeric: true },
          { head: 'uses', cell: ({ uses }) => count(uses), numeric: true },
          { head: 'leases', cell: ({ leases }) => count(leases), numeric: true },
          { head: 'generation', cell: ({ generation }) => generation, numeric: true },
          { head: 'state', cell: ({ state }) => (state === 'leased' ? 'used' : state) },
        ]}
      />
      <Table<SlowGroup>
        title="Slow operations"
        rows={detail?.slow ?? []}
        nothing="None above the threshold."
        keyOf={({ operation }) => operation}
        columns={[
          { head: 'operation', cell: ({ operation }) => <code class="statement">{operation}</code> },
          { head: 'times', cell: ({ count: times }) => count(times), numeric: true },
          { head: 'failed', cell: ({ failed }) => count(failed), numeric: true },
          { head: 'longest', cell: ({ maxMillis }) => millis(maxMillis), numeric: true },
          { head: 'mean', cell: (slow) => millis(totalOf(slow) / slow.count), numeric: true },
          { head: 'of it waiting', cell: (slow) => percent(slow.waitMillis / totalOf(slow)), numeric: true },
          { head: 'label', cell: ({ lastLabel }) => lastLabel ?? <span class="muted">none</span> },
          { head: 'trace', cell: ({ lastTraceId }) => (lastTraceId === undefined ? '' : <code>{lastTraceId}</code>) },
          { head: 'last', cell: ({ lastAt }) => clock(lastAt) },
        ]}
      />
      <Table<EventView>
        title="Recent events"
        rows={detail?.events ?? []}
        nothing="Nothing has happened yet."
        keyOf={({ at: time, name }, index) => `${time}-${name}-${index}`}
        columns={[
          { head: 'at', cell: ({ at: time }) => clock(time) },
          { head: 'event', cell: ({ name }) => words(name) },
          { head: 'what', cell: ({ text, times }) => (times > 1 ? `${text} · ${times} times` : text), long: true },
        ]}
      />
      {detail === undefined || detail.parts.length === 0 ? null : (
        <Table<PartView>
          title="Parts"
          rows={detail.parts}
          nothing=""
          keyOf={({ name }) => name}
          columns={[
            { head: 'part', cell: ({ name }) => name, long: true },
            { head: 'used', cell: ({ stats: part }) => count(part.used), numeric: true },
            { head: 'idle', cell: ({ stats: part }) => count(part.idle), numeric: true },
            { head: 'creating', cell: ({ stats: part }) => count(part.creating), numeric: true },
            { head: 'waiting', cell: ({ stats: part }) => count(part.waiting), numeric: true },
            { head: 'leases', cell: ({ stats: part }) => count(part.leases), numeric: true },
            { head: 'max', cell: ({ stats: part }) => count(unlimited(part).max), numeric: true },
          ]}
        />
      )}
      <div class="columns">
        <Table
          title="Counted since the start"
          rows={counters(stats)}
          nothing=""
          keyOf={([name]) => name}
          columns={[
            { head: 'what', cell: ([name]) => words(name) },
            { head: 'how many', cell: ([, number]) => count(number), numeric: true },
          ]}
        />
        <Table<SettingView>
          title="Configuration"
          rows={detail?.settings ?? []}
          nothing="Not known."
          keyOf={({ name }) => name}
          columns={[
            { head: 'option', cell: ({ name }) => <code>{name}</code> },
            { head: 'value', cell: ({ value }) => value, long: true },
            { head: 'from', cell: ({ source }) => source ?? <span class="muted">–</span> },
          ]}
        />
      </div>
    </div>
  )
}

const COUNTED = [
  'requested',
  'acquired',
  'acquiredAfterWait',
  'timedOut',
  'aborted',
  'refused',
  'failed',
  'created',
  'createErrors',
  'leaks',
  'deadlocks',
] as const

function counters(stats: LivePool['view']['stats']): [string, number][] {
  return [
    ...COUNTED.map((name): [string, number] => [name, stats[name]]),
    ...Object.entries(stats.destroyed)
      .filter(([, number]) => number > 0)
      .map(([reason, number]): [string, number] => [`closed: ${reason}`, number]),
  ]
}

const totalOf = ({ waitMillis, useMillis }: SlowGroup): number => waitMillis + useMillis

function Advice({ verdict, reason }: AdviceView) {
  return (
    <p class="advice">
      <b>{verdict}</b> {reason}
    </p>
  )
}
