import type { RemoteInstance } from './options.ts'
import { PROTOCOL, type InstanceView, type PoolView } from './protocol.ts'

/** Longer than this is no answer. */
const TIMEOUT_MILLIS = 2_000

/** What `snapshot` answers; another version may answer anything. */
interface Snapshot {
  readonly protocol: number
  readonly instances: readonly InstanceView[]
  readonly pools: readonly PoolView[]
}

interface Known {
  view: InstanceView
  pools: readonly PoolView[]
  asking: boolean
}

/** What another process has answered, or that it has not. */
export interface Forwarded {
  readonly status: number
  readonly value: unknown
}

/** The dashboards of other processes, each asked once an interval; one that is slow or gone holds up nobody. */
export class Instances {
  readonly #remotes: readonly RemoteInstance[]
  readonly #known = new Map<RemoteInstance, Known>()

  constructor(remotes: readonly RemoteInstance[]) {
    this.#remotes = remotes
    for (const remote of remotes)
      this.#known.set(remote, { view: { name: new URL(remote.url).host, reachable: false }, pools: [], asking: false })
  }

  get views(): InstanceView[] {
    return Array.from(this.#known.values(), ({ view }) => view)
  }

  get pools(): PoolView[] {
    return Array.from(this.#known.values(), ({ pools }) => pools).flat()
  }

  /** Asks all of them for the next time. */
  refresh(): void {
    for (const remote of this.#remotes) void this.#ask(remote)
  }

  /** Passes a request on to the process that has the pool; undefined where none of them has. */
  async forward(path: string, key: string, init: RequestInit = {}): Promise<Forwarded | undefined> {
    const found = [...this.#known].find(([, { pools }]) => pools.some((pool) => pool.key === key))
    if (found === undefined) return undefined
    const [{ url, headers }, { view }] = found
    const failed = (what: string): Forwarded => ({ status: 502, value: { ok: false, message: `${view.name} ${what}` } })
    let response: Response
    try {
      response = await fetch(new URL(path, url), {
        ...init,
        redirect: 'error',
        headers: { ...headers, ...(init.headers as Record<string, string> | undefined) },
        signal: AbortSignal.timeout(TIMEOUT_MILLIS),
      })
    } catch {
      return failed('cannot be reached')
    }
    try {
      return { status: response.status, value: await response.json() }
    } catch {
      // A proxy's page of an error, or half an answer.
      return failed(`answers with status ${response.status} and no JSON`)
    }
  }

  async #ask(remote: RemoteInstance): Promise<void> {
    const known = this.#known.get(remote)
    if (known === undefined || known.asking) return
    known.asking = true
    try {
      const response = await fetch(new URL('snapshot', remote.url), {
        headers: { ...remote.headers },
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MILLIS),
      })
      if (!response.ok) throw new Problem(`answers with status ${response.status}`)
      const { protocol, instances, pools } = (await response.json()) as Snapshot
      if (protocol !== PROTOCOL) throw new Problem('has another version of the dashboard')
      const [self] = instances
      known.view = { name: self?.name ?? known.view.name, reachable: true }
      known.pools = pools.filter(({ instance }) => instance === self?.name)
    } catch (error) {
      const problem = error instanceof Problem ? error.message : 'cannot be reached'
      known.view = { name: known.view.name, reachable: false, problem }
      known.pools = []
    } finally {
      known.asking = false
    }
  }
}

/** What may be shown: never an error's own text, which may hold an address. */
class Problem extends Error {}
