import { History } from '../../../src/dashboard/history.ts'
import { received } from './received.ts'
import type { Hello, InstanceView, PoolView, Tick } from '../../../src/dashboard/protocol.ts'

export interface LivePool {
  readonly view: PoolView
  readonly history: History
}

export type Connection = 'connecting' | 'live' | 'lost'

/** Everything the page shows, as of now. */
export interface Live {
  readonly connection: Connection
  readonly title: string
  readonly at: number
  readonly actions: boolean
  readonly instances: readonly InstanceView[]
  readonly pools: ReadonlyMap<string, LivePool>
}

export const NOTHING: Live = {
  connection: 'connecting',
  title: 'Millpond',
  at: 0,
  actions: false,
  instances: [],
  pools: new Map(),
}

function begin({ title, at, actions, instances, pools }: Hello): Live {
  return {
    connection: 'live',
    title,
    at,
    actions,
    instances,
    pools: new Map(
      pools.map(({ history, ...view }) => [view.key, { view: received(view), history: History.from(history) }]),
    ),
  }
}

function advance(live: Live, { at, instances, pools }: Tick): Live {
  const next = new Map<string, LivePool>()
  for (const view of pools) {
    const history = live.pools.get(view.key)?.history ?? new History()
    history.add(at, view.sample)
    next.set(view.key, { view: received(view), history })
  }
  return { ...live, connection: 'live', at, instances, pools: next }
}

/**
 * Follows the stream and tells of every change. The browser connects again by itself after a loss; where it gives up
 * (the server answered with an error), this tries again. Returns how to stop.
 */
export function follow(changed: (live: Live) => void, retryMillis = 3_000): () => void {
  let live = NOTHING
  let source: EventSource
  let timer: ReturnType<typeof setTimeout> | undefined
  const set = (next: Live): void => {
    live = next
    changed(live)
  }
  const connect = (): void => {
    source = new EventSource('events')
    source.addEventListener('hello', ({ data }: MessageEvent<string>) => set(begin(JSON.parse(data) as Hello)))
    source.addEventListener('tick', ({ data }: MessageEvent<string>) => set(advance(live, JSON.parse(data) as Tick)))
    source.onerror = () => {
      set({ ...live, connection: live.at === 0 ? 'connecting' : 'lost' })
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, retryMillis)
    }
  }
  connect()
  return () => {
    clearTimeout(timer)
    source.close()
  }
}
