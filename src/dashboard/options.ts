import { hostname } from 'node:os'
import { OptionError } from '../core/errors.ts'
import { checkOption, unknownOption, type OptionRule } from '../core/option-check.ts'
import type { ManagedPool } from '../core/managed-pool.ts'
import type { PoolWatch } from '../monitoring/watch/watch.ts'
import type { ActionRequest, AdviceView, SettingView } from './protocol.ts'

/** Another process whose dashboard this one shows beside its own pools. */
export interface RemoteInstance {
  /** Where its dashboard is, for example `http://10.0.0.7:9464/pools/`. */
  readonly url: string
  /** Sent with every request, for its `authorize`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** An action that somebody took. */
export interface AuditEntry extends ActionRequest {
  readonly pool: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly ok: boolean
  readonly message: string
}

export interface DashboardOptions {
  /** Whether there is a dashboard at all; without one every request is answered with 404. @defaultValue true, and false where `NODE_ENV` is `production` */
  enabled?: boolean | undefined
  /** Decides who may look, and act. @defaultValue everybody who reaches it under a name of the loopback interface */
  authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined
  /**
   * Names in the `Host` header under which it answers, besides those of the loopback interface: a page elsewhere cannot
   * read it by having its own name resolve to this machine. With any, `authorize` is required. @defaultValue none
   */
  hosts?: readonly string[] | undefined
  /** Whether the page may resize, suspend, resume and invalidate pools and take leases away. @defaultValue false */
  actions?: boolean | undefined
  /** Told of every action, done or refused. @defaultValue a warning of the process, code `MILLPOND_ACTION` */
  audit?: ((entry: AuditEntry) => void) | undefined
  /** The heading of the page. @defaultValue 'Millpond' */
  title?: string | undefined
  /** The name of this process. @defaultValue its id and its host's name */
  instance?: string | undefined
  /** Other processes to show on the same page; asked once per interval. @defaultValue none */
  instances?: readonly (string | RemoteInstance)[] | undefined
  /**
   * The configuration of a pool with its sources, for example from `loadPools`.
   * @defaultValue the options in force, without sources
   */
  settings?: ((pool: ManagedPool) => readonly SettingView[] | undefined) | undefined
  /**
   * Where events and slow operations come from, for a program that watches its pools already.
   * @defaultValue a watch of its own
   */
  watch?: PoolWatch | undefined
  /**
   * What to say about the size of a pool, for example from `advise`. Asked while somebody looks at that pool, at most every
   * ten seconds. @defaultValue nothing
   */
  advice?: ((pool: ManagedPool) => readonly AdviceView[] | undefined) | undefined
  /** How often pools are looked at, in milliseconds; at least 100. @defaultValue 1_000 */
  intervalMillis?: number | undefined
}

export interface ResolvedDashboardOptions {
  readonly enabled: boolean
  readonly authorize: (request: Request) => boolean | Promise<boolean>
  readonly hosts: ReadonlySet<string>
  readonly actions: boolean
  readonly audit: (entry: AuditEntry) => void
  readonly title: string
  readonly instance: string
  readonly instances: readonly RemoteInstance[]
  readonly watch: PoolWatch | undefined
  readonly settings: DashboardOptions['settings']
  readonly advice: DashboardOptions['advice']
  readonly intervalMillis: number
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

const RULES: Readonly<Record<keyof DashboardOptions, OptionRule>> = {
  enabled: { type: 'boolean' },
  authorize: { type: 'function' },
  hosts: { type: 'object' },
  actions: { type: 'boolean' },
  audit: { type: 'function' },
  title: { type: 'string' },
  instance: { type: 'string' },
  instances: { type: 'object' },
  watch: { type: 'object' },
  settings: { type: 'function' },
  advice: { type: 'function' },
  intervalMillis: { type: 'duration' },
}

const wrong = (option: string, message: string): OptionError => new OptionError('dashboard', option, message)

function warn({ pool, action, message }: AuditEntry): void {
  process.emitWarning(`${action} on pool "${pool}" from the dashboard: ${message}`, {
    type: 'MillpondWarning',
    code: 'MILLPOND_ACTION',
  })
}

/** @throws {OptionError} on an unknown or wrong option */
export function resolveDashboardOptions(options: DashboardOptions): ResolvedDashboardOptions {
  for (const [name, value] of Object.entries(options) as [keyof DashboardOptions, unknown][]) {
    if (!(name in RULES)) throw unknownOption('dashboard', name, Object.keys(RULES))
    if (value !== undefined) checkOption('dashboard', name, value, RULES[name])
  }
  const { hosts = [], authorize, intervalMillis = 1_000, instances = [] } = options
  if (intervalMillis < 100)
    throw wrong('intervalMillis', `Expected \`intervalMillis\` to be at least 100 milliseconds, got ${intervalMillis}`)
  if (hosts.length > 0 && authorize === undefined)
    throw wrong(
      'authorize',
      `With \`hosts\` (${hosts.join(', ')}) others than this machine can reach the dashboard: give \`authorize\`, ` +
        'which decides who may look; `() => true` where something in front of it decides',
    )
  return {
    enabled: options.enabled ?? process.env['NODE_ENV'] !== 'production',
    authorize: authorize ?? (() => true),
    hosts: new Set([...LOOPBACK, ...hosts].map((host) => host.toLowerCase())),
    actions: options.actions ?? false,
    audit: options.audit ?? warn,
    title: options.title ?? 'Millpond',
    instance: options.instance ?? `${process.pid}@${hostname()}`,
    instances: instances.map(remoteOf),
    watch: options.watch,
    settings: options.settings,
    advice: options.advice,
    intervalMillis,
  }
}

function remoteOf(instance: string | RemoteInstance): RemoteInstance {
  const remote = typeof instance === 'string' ? { url: instance } : instance
  if (!URL.canParse(remote.url) || !/^https?:/.test(remote.url))
    throw wrong(
      'instances',
      `Expected \`instances\` to be http(s) addresses of other dashboards, got "${masked(remote.url)}"`,
    )
  return { ...remote, url: remote.url.endsWith('/') ? remote.url : `${remote.url}/` }
}

/** What stands before an @ may be a password. */
const masked = (url: string): string => url.replace(/\/\/[^@/]*@/, '//***@')
