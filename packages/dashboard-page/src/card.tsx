import { Chart, CONNECTIONS } from './chart.tsx'
import { count, millis, percent } from './format.ts'
import type { LivePool } from './live.ts'
import { Status } from './status.tsx'
import { hashOf } from './route.ts'

interface CardProps {
  readonly pool: LivePool
  readonly windowMillis: number
  readonly at: number
  readonly theme: string
  readonly showsInstance: boolean
}

/** What a pool is worth a glance: how full, who waits, how long things take. */
export function Card({ pool: { view, history }, windowMillis, at, theme, showsInstance }: CardProps) {
  const { stats, recent } = view
  const closes = Object.entries(stats.destroyed).filter(([, number]) => number > 0)
  return (
    <article class="card" aria-labelledby={`name-${view.key}`}>
      <header>
        <h2 id={`name-${view.key}`}>
          <a href={hashOf(view.key)}>{stats.name}</a>
        </h2>
        <span class="kind">{stats.kind}</span>
        {view.required ? <span class="kind">required</span> : null}
        {showsInstance ? <span class="instance">{view.instance}</span> : null}
      </header>
      <Status pool={view} />
      <dl class="numbers">
        <div>
          <dt>used of max</dt>
          <dd>
            <b>{count(stats.used)}</b> / {count(stats.max)}
          </dd>
        </div>
        <div>
          <dt>utilization</dt>
          <dd>
            <b>{stats.max === Infinity ? '–' : percent(stats.utilization)}</b>
          </dd>
        </div>
        <div class={stats.waiting > 0 ? 'loud' : ''}>
          <dt>waiting</dt>
          <dd>
            <b>{count(stats.waiting)}</b>
          </dd>
        </div>
        <div class={stats.waiting > 0 ? 'loud' : ''}>
          <dt>oldest waiter</dt>
          <dd>
            <b>{stats.waiting > 0 ? millis(stats.oldestWaiterMillis) : '–'}</b>
          </dd>
        </div>
      </dl>
      <Chart
        small
        title={`Connections of ${stats.name}`}
        lines={CONNECTIONS}
        history={history}
        windowMillis={windowMillis}
        unit="count"
        height={72}
        at={at}
        theme={theme}
      />
      <table class="times">
        <caption class="hidden">Recent times of {stats.name}</caption>
        <thead>
          <tr>
            <td />
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
          </tr>
        </thead>
        <tbody>
          {(['wait', 'use', 'create'] as const).map((what) => (
            <tr key={what}>
              <th scope="row">{what}</th>
              <td>{millis(recent[what].p50)}</td>
              <td>{millis(recent[what].p95)}</td>
              <td>{millis(recent[what].p99)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="closes">
        opened {count(stats.created)}, closed{' '}
        {closes.length === 0 ? 'none' : closes.map(([reason, number]) => `${reason} ${count(number)}`).join(', ')}
      </p>
    </article>
  )
}
