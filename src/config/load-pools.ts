import { coreOf, type ManagedPool } from '../core/managed-pool.ts'
import { nearestName } from '../core/option-check.ts'
import { OptionError } from '../core/errors.ts'
import { PoolRegistry } from '../registry/registry.ts'
import { parsed, poolsIn, textOf, type ParseFile, type PoolEntries } from './config-file.ts'
import { kindsInEnvironment } from './discover.ts'
import type { Env } from './environment.ts'
import { watchFile } from './file-watch.ts'
import { KINDS, type Kind } from './kinds.ts'
import { configError, resolve, type PoolConfig } from './pool-config.ts'
import type { ProfileName } from './profiles.ts'
import { reloadPools, type ReloadReport } from './reload.ts'
import type { ConfigIssue, ConfigNotice } from './settings.ts'
import type { AdapterOptions, PoolSettings } from './types.ts'

/** How a pool of each kind is made; what is not needed is left out. Here the drivers come in. */
export type Makers = {
  readonly [K in Kind]?: (options: AdapterOptions<K>, config: PoolConfig<K>) => ManagedPool
}

type Made<M, K> = K extends keyof M ? (M[K] extends (...args: never) => infer P ? P : never) : never

/** The pools that stand in code, each as what its maker makes. */
export type PoolsOf<M extends Makers, C> = {
  readonly [N in keyof C]: C[N] extends { readonly kind: infer K extends Kind }
    ? Made<M, K>
    : Made<M, N extends Kind ? N : keyof M>
}

/** Nothing stands in code. */
type NoPools = { readonly [N in never]: PoolSettings }

export interface LoadOptions<M extends Makers, C extends Readonly<Record<string, PoolSettings>>> {
  /** Makes a pool of each kind, with the driver of your choice: `{ postgres: (options) => pgPool(pg, options) }`. */
  readonly make: M
  /** Pools by name, and what is fixed about them. @defaultValue none */
  readonly code?: C | undefined
  /** The path of a file, or its content. @defaultValue none */
  readonly file?: string | object | undefined
  /** Reads the file; hand in `YAML.parse` for YAML. @defaultValue JSON.parse */
  readonly parse?: ParseFile | undefined
  /** @defaultValue process.env */
  readonly env?: Env | undefined
  /** @defaultValue `MILLPOND_PROFILE`, else `NODE_ENV`, else development */
  readonly profile?: ProfileName | undefined
  /** Where the pools are registered. @defaultValue a new registry */
  readonly registry?: PoolRegistry | undefined
  /** Reads the file again whenever it changes, and resizes the pools. @defaultValue false */
  readonly watch?: boolean | undefined
  /** Hears what somebody may not expect: conflicts, an unknown profile, a change that needs a restart. @defaultValue process.emitWarning */
  readonly onNotice?: ((notice: ConfigNotice) => void) | undefined
  /** Reads the files that `<VARIABLE>_FILE` names. @defaultValue from the disk */
  readonly readFile?: ((path: string) => string) | undefined
}

type Given = LoadOptions<Makers, Readonly<Record<string, PoolSettings>>>

/** Pools that were made of a configuration, and what they were made of. */
export class LoadedPools<M extends Makers = Makers, C = unknown> implements AsyncDisposable {
  /** Those that stand in code, by name. {@link get} has them all. */
  readonly pools: PoolsOf<M, C>
  readonly registry: PoolRegistry
  readonly #given: Given
  readonly #made: ReadonlyMap<string, ManagedPool>
  #configs: ReadonlyMap<string, PoolConfig>
  #stopWatching: (() => void) | undefined

  constructor(given: LoadOptions<M, never>) {
    this.#given = given
    this.registry = given.registry ?? new PoolRegistry()
    this.#configs = resolveAll(given)
    this.#made = makeAll(given.make, this.#configs)
    try {
      for (const [name, pool] of this.#made)
        this.registry.register(pool, { required: this.#configs.get(name)?.required })
    } catch (error) {
      // One name was taken: nobody else will ever hear of the others.
      closeAll(this.#made.values())
      throw error
    }
    this.pools = Object.fromEntries(this.#made) as never // by the names of the code, of the kinds it says
    for (const { notices } of this.#configs.values()) notices.forEach((notice) => this.#tell(notice))
    const { file, watch } = this.#given
    if (watch === true && typeof file === 'string') this.#watch(file)
  }

  /** The configuration of every pool, by name. */
  get configs(): ReadonlyMap<string, PoolConfig> {
    return this.#configs
  }

  /** A pool by its name. @throws {OptionError} where none is called so, with the nearest name */
  get(name: string): Made<M, keyof M> {
    const pool = this.#made.get(name)
    if (pool !== undefined) return pool as never // what one of the makers has made
    const nearest = nearestName(name, this.#made.keys())
    throw new OptionError(
      name,
      'name',
      `No pool is called "${name}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`,
    )
  }

  /**
   * Reads everything again and resizes the pools whose `max` or `min` changed; no lease is dropped. What needs a
   * restart is told and left as it is. A configuration with mistakes changes nothing.
   *
   * @throws {OptionError} on mistakes
   */
  reload(): ReloadReport {
    const configs = resolveAll(this.#given)
    const report = reloadPools(this.#made, this.#configs, configs)
    this.#configs = configs
    report.notices.forEach((notice) => this.#tell(notice))
    return report
  }

  /** Stops watching the file and closes the pools of this registry, in order. */
  async close(options?: Parameters<PoolRegistry['close']>[0]): Promise<Awaited<ReturnType<PoolRegistry['close']>>> {
    this.#stopWatching?.()
    return await this.registry.close(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #watch(path: string): void {
    this.#stopWatching = watchFile(path, () => {
      try {
        this.reload()
      } catch (error) {
        this.#tell({
          code: 'MILLPOND_CONFIG_RELOAD',
          pool: path,
          message: `The changed file is not taken over: ${(error as Error).message}`,
        })
      }
    })
    // A registry that closes by itself, on a signal, needs no watch any more.
    const closed = (): void => {
      if ([...this.#made.values()].every(({ state }) => state === 'closed')) this.#stopWatching?.()
    }
    for (const pool of this.#made.values()) coreOf(pool).on('closed', closed)
  }

  #tell(notice: ConfigNotice): void {
    const { onNotice = warn } = this.#given
    onNotice(notice)
  }
}

function warn({ code, pool, message }: ConfigNotice): void {
  process.emitWarning(`pool "${pool}": ${message}`, { type: 'MillpondWarning', code })
}

/**
 * Makes the pools of a process from code, environment and file, with one order of precedence for every driver.
 *
 * ```ts
 * const { pools } = loadPools({
 *   make: { postgres: (options) => pgPool(pg, options) },
 *   code: { orders: { kind: 'postgres', preset: 'database' } },
 *   file: 'pools.json',
 * })
 * await pools.orders.query('SELECT 1')
 * ```
 *
 * Without `code` and `file`, every server that the environment names gets a pool that is called after its kind:
 * `DATABASE_URL=postgres://…` makes `get('postgres')`.
 *
 * @throws {OptionError} on unknown keys, wrong values, contradictions, or a kind that nobody can make
 */
export function loadPools<M extends Makers, const C extends Readonly<Record<string, PoolSettings>> = NoPools>(
  options: LoadOptions<M, C>,
): LoadedPools<M, C> {
  return new LoadedPools<M, C>(options as never) // the same, to a class that does not ask which pools stand in code
}

/** The configuration of every pool that code, file and environment speak of. */
function resolveAll({
  make,
  code = {},
  file,
  parse,
  env = process.env,
  profile,
  readFile,
}: Given): Map<string, PoolConfig> {
  const fileName = typeof file === 'string' ? file : 'file'
  const inFile: PoolEntries =
    file === undefined ? {} : poolsIn(typeof file === 'string' ? parsed(file, textOf(file), parse) : file, fileName)
  const configs = new Map<string, PoolConfig>()
  const issues: ConfigIssue[] = []
  const add = (name: string, settings: PoolSettings | undefined): void => {
    const entry = Object.hasOwn(inFile, name) ? { name: fileName, settings: inFile[name] } : undefined
    const outcome = resolve({ name, env, code: settings, file: entry, profile, readFile })
    if ('config' in outcome) configs.set(name, outcome.config)
    else issues.push(...outcome.issues)
  }
  for (const name of new Set([...Object.keys(code), ...Object.keys(inFile)])) add(name, code[name])
  const makeable = KINDS.filter((kind) => make[kind] !== undefined)
  const configured = new Set(Array.from(configs.values(), ({ kind }) => kind))
  if (issues.length === 0)
    for (const kind of kindsInEnvironment(env, makeable))
      if (!configured.has(kind) && !configs.has(kind)) add(kind, { kind })
  for (const { name, kind } of configs.values()) {
    if (make[kind] === undefined)
      issues.push({
        path: [name, 'kind'],
        message: `\`make\` has no \`${kind}\`, which this pool needs: add \`${kind}: (options) => …\``,
      })
  }
  if (issues.length > 0) throw configError(issues[0]?.path[0] ?? 'pools', issues)
  return configs
}

/** @throws whatever a maker throws, after the pools made before it are closed */
function makeAll(make: Makers, configs: ReadonlyMap<string, PoolConfig>): Map<string, ManagedPool> {
  const pools = new Map<string, ManagedPool>()
  try {
    for (const [name, config] of configs) {
      const maker = make[config.kind] as (options: unknown, config: PoolConfig) => ManagedPool
      pools.set(name, maker(config.options, config))
    }
  } catch (error) {
    closeAll(pools.values())
    throw error
  }
  return pools
}

function closeAll(pools: Iterable<ManagedPool>): void {
  for (const pool of pools) void pool.close()
}
