import { useEffect, useState } from 'preact/hooks'
import { Card } from './card.tsx'
import { Detail } from './detail.tsx'
import { clock } from './format.ts'
import { judge } from './judge.ts'
import { follow, NOTHING, type Connection, type Live, type LivePool } from './live.ts'
import { useRoute } from './route.ts'

const WINDOWS = [
  { label: '5 min', millis: 300_000 },
  { label: '15 min', millis: 900_000 },
  { label: '1 h', millis: 3_600_000 },
] as const

type Theme = 'light' | 'dark'

const SAYS: Readonly<Record<Connection, string>> = {
  connecting: 'connecting …',
  live: 'live',
  lost: 'connection lost, trying again …',
}

function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(
    () =>
      (localStorage.getItem('millpond-theme') as Theme | null) ??
      (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'),
  )
  // Before anything is drawn in the other theme's colours.
  document.documentElement.dataset['theme'] = theme
  const toggle = (): void => {
    const next = theme === 'dark' ? 'light' : 'dark'
    localStorage.setItem('millpond-theme', next)
    setTheme(next)
  }
  return [theme, toggle]
}

/** What fails comes first; the rest by name, so that a pool that is full now and then does not jump about. */
function sorted(pools: Iterable<LivePool>): LivePool[] {
  return [...pools].sort(
    (a, b) =>
      Number(judge(b.view).level === 'bad') - Number(judge(a.view).level === 'bad') ||
      a.view.stats.name.localeCompare(b.view.stats.name) ||
      a.view.key.localeCompare(b.view.key),
  )
}

function summaryOf({ pools }: Live): string {
  const levels = Array.from(pools.values(), ({ view }) => judge(view).level)
  const bad = levels.filter((level) => level === 'bad').length
  const warn = levels.filter((level) => level === 'warn').length
  const all = `${pools.size} ${pools.size === 1 ? 'pool' : 'pools'}`
  if (bad + warn === 0) return `${all}, all healthy`
  return [all, bad > 0 ? `${bad} failing` : '', warn > 0 ? `${warn} to look at` : ''].filter(Boolean).join(', ')
}

export function App() {
  const [live, setLive] = useState<Live>(NOTHING)
  const [windowMillis, setWindow] = useState<number>(WINDOWS[0].millis)
  const [theme, toggleTheme] = useTheme()
  const route = useRoute()
  useEffect(() => follow(setLive), [])
  const { pools, instances, connection, at } = live
  const shown = route === undefined ? undefined : pools.get(route)
  // Without a problem it has not been asked yet.
  const silent = instances.filter(({ problem }) => problem !== undefined)
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.querySelector<HTMLElement>('main')?.focus()
        }}
      >
        Skip to the pools
      </a>
      <header class="top">
        <h1>{live.title}</h1>
        <span class={`connection ${connection}`} role="status">
          {SAYS[connection]}
        </span>
        <span class="muted">{at === 0 ? '' : clock(at)}</span>
        <span class="space" />
        <div class="choice" role="group" aria-label="How far back">
          {WINDOWS.map(({ label, millis }) => (
            <button key={label} type="button" aria-pressed={millis === windowMillis} onClick={() => setWindow(millis)}>
              {label}
            </button>
          ))}
        </div>
        <button type="button" onClick={toggleTheme}>
          {theme === 'dark' ? 'Light' : 'Dark'}
        </button>
      </header>
      {silent.map(({ name, problem }) => (
        <p key={name} class="notice bad">
          ■ {name} does not answer: {problem}
        </p>
      ))}
      <main id="main" tabIndex={-1} class={connection === 'lost' ? 'stale' : ''}>
        {route === undefined ? (
          <>
            <p class="summary" role="status">
              {at === 0 ? '' : summaryOf(live)}
            </p>
            {at > 0 && pools.size === 0 ? <p class="muted">No pool is registered.</p> : null}
            <div class="cards">
              {sorted(pools.values()).map((pool) => (
                <Card
                  key={pool.view.key}
                  pool={pool}
                  windowMillis={windowMillis}
                  at={at}
                  theme={theme}
                  showsInstance={instances.length > 1}
                />
              ))}
            </div>
          </>
        ) : shown === undefined ? (
          <p>
            {at === 0 ? '' : 'This pool is closed, or was never here. '}
            <a href="#">← All pools</a>
          </p>
        ) : (
          <Detail pool={shown} windowMillis={windowMillis} at={at} theme={theme} actions={live.actions} />
        )}
      </main>
    </>
  )
}
