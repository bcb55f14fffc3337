import type { PoolOptions } from '../core/options.ts'
import type { Kind } from './kinds.ts'
import type { OptionName, OPTIONS } from './option-table.ts'
import type { PresetName } from './profiles.ts'

type Rows = typeof OPTIONS

type RuleValue<R> = R extends { type: 'one-of'; values: readonly (infer V)[] }
  ? V
  : R extends { type: 'boolean' }
    ? boolean
    : R extends { type: 'string' }
      ? string
      : number

/** What a value of an option is. */
export type OptionValue<O extends OptionName> = O extends 'label'
  ? string
  : O extends keyof PoolOptions
    ? Exclude<PoolOptions[O], undefined>
    : RuleValue<Rows[O]['rule']>

type Applies<O extends OptionName, K extends Kind> = Rows[O] extends { kinds: readonly (infer Of)[] }
  ? K extends Of
    ? O
    : never
  : O

/** What configures one pool in code: every option by its name, and what is no option of the pool itself. */
export type PoolSettings = {
  readonly [O in OptionName]?: OptionValue<O> | undefined
} & {
  /** What the pool connects to. @defaultValue the kind of the URL, else of the pool's name */
  readonly kind?: Kind | undefined
  /** Sizes for this sort of server, before those of the profile. @defaultValue none */
  readonly preset?: PresetName | undefined
  /** Whether the process cannot do its work without it; for the registry's health. @defaultValue false */
  readonly required?: boolean | undefined
  /** The beginning of its environment variables. @defaultValue the name: `orders` has `ORDERS_` */
  readonly envPrefix?: string | undefined
  /** Whatever else the adapter and the driver take, handed on as it is: functions, certificates, driver options. */
  readonly driver?: Readonly<Record<string, unknown>> | undefined
}

/** Where the server is, as each adapter is told it. */
interface Addresses {
  postgres: SqlAddress & {
    connectionString?: string
    application_name?: string
    ssl?: boolean | { rejectUnauthorized: boolean }
  }
  mysql: SqlAddress & { uri?: string }
  mongodb: { uri: string; appName?: string }
  redis: { url?: string }
  http: { origin?: string }
  grpc: { target: string }
}

interface SqlAddress {
  host?: string
  port?: number
  user?: string
  password?: string
  database?: string
}

type AdapterName<O extends OptionName, K extends Kind> = Rows[O] extends {
  as: Readonly<Record<K, infer N extends string>>
}
  ? N
  : O

type BehaviourName = { [O in OptionName]: Rows[O]['group'] extends 'connection' ? never : O }[OptionName]

/** What `make` gets for a pool of this kind: the options of its adapter, those that somebody has set. */
export type AdapterOptions<K extends Kind> = Addresses[K] & {
  [O in BehaviourName as Applies<O, K> extends never ? never : AdapterName<O, K>]?: OptionValue<O>
} & (K extends 'redis' ? { poolName: string } : { name: string })
