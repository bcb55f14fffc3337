import type { ClusterDialect, ClusterNode } from './cluster-dialect.ts'
import type { ConnectionHost, Dialect, DriverClient, LaneName, Opening, Unanswered } from './driver.ts'
import { IoredisDialect, type IoredisClient } from './ioredis.ts'
import { tidy } from './ioredis-errors.ts'
import { writeTogether } from './ioredis-writes.ts'

/** What the adapter touches of `Cluster` of ioredis. */
export interface IoredisCluster extends DriverClient {
  readonly status: string
  readonly options: Record<string, unknown>
  /** The addresses that serve a slot, the master's first. */
  readonly slots: readonly (readonly string[] | undefined)[]
  connect(): Promise<void>
  disconnect(): void
  quit(): Promise<unknown>
  call(command: string, ...args: string[]): Promise<unknown>
  nodes(role?: 'all' | 'master' | 'slave'): IoredisClient[]
  refreshSlotsCache(callback: (error?: unknown) => void): void
  unsubscribe(): Promise<unknown>
  punsubscribe(): Promise<unknown>
  defineCommand(name: string, definition: object): void
}

export type IoredisClusterClass = new (nodes: readonly unknown[], options?: object) => IoredisCluster

const OVER = new Set(['end', 'disconnecting'])

export class IoredisClusterDialect implements ClusterDialect {
  readonly driver = 'ioredis'
  readonly closedPhrase = 'Connection is closed.'
  readonly homeDb = 0
  readonly template: IoredisCluster
  readonly keyPrefix: string
  readonly maxRetries: number
  readonly resends: boolean
  readonly #Cluster: IoredisClusterClass
  readonly #nodes: readonly unknown[]
  readonly #options: Readonly<Record<string, unknown>>
  readonly #scripts = new Map<string, object>()

  constructor(Cluster: IoredisClusterClass, { nodes, ...options }: Readonly<Record<string, unknown>>) {
    this.#Cluster = Cluster
    this.#nodes = Array.isArray(nodes) ? nodes : []
    this.#options = options
    this.template = this.#make()
    const { keyPrefix, redisOptions } = this.template.options
    this.keyPrefix = typeof keyPrefix === 'string' ? keyPrefix : ''
    const { maxRetriesPerRequest = 20, autoResendUnfulfilledCommands } = {
      ...(redisOptions as object | undefined),
    } as {
      readonly maxRetriesPerRequest?: unknown
      readonly autoResendUnfulfilledCommands?: unknown
    }
    this.maxRetries = typeof maxRetriesPerRequest === 'number' ? maxRetriesPerRequest : Infinity
    this.resends = autoResendUnfulfilledCommands !== false
  }

  #make(): IoredisCluster {
    return new this.#Cluster([...this.#nodes], { ...this.#options, lazyConnect: true })
  }

  /** Defines a command on every client that is made from now on. */
  defineCommand(name: string, definition: object): void {
    this.#scripts.set(name, definition)
    this.template.defineCommand(name, definition)
  }

  open(_lane: LaneName, host: ConnectionHost): Opening {
    const cluster = this.#make()
    for (const [name, definition] of this.#scripts) cluster.defineCommand(name, definition)
    cluster.on('+node', writeTogether)
    let isReady = false
    let isWaiting = false
    let lastError: unknown
    cluster.on('error', (error: unknown) => {
      lastError = tidy(error)
    })
    // Told again with every attempt of the driver's to connect anew.
    cluster.on('close', () => {
      if (!isReady || isWaiting) return
      isWaiting = true
      host.waits(cluster)
    })
    cluster.on('ready', () => {
      if (isWaiting) host.back(cluster)
      isWaiting = false
    })
    cluster.once('end', () => host.closed(cluster, lastError, []))
    const ready = cluster.connect().then(
      () => {
        isReady = true
        lastError = undefined
      },
      // The error that was told names the last node's; what connect rejects with says nothing.
      (error: unknown) => Promise.reject((lastError ?? tidy(error)) as Error),
    )
    return { client: cluster, ready }
  }

  isReady(client: DriverClient): boolean {
    return !OVER.has((client as IoredisCluster).status)
  }

  inFlight(client: DriverClient): number {
    return this.nodes(client).reduce((sum, node) => sum + node.inFlight, 0)
  }

  async ask(client: DriverClient, command: string, ...args: string[]): Promise<unknown> {
    return await (client as IoredisCluster).call(command, ...args)
  }

  /** That one node answers: who has lost others asks them by itself. */
  async prove(client: DriverClient): Promise<void> {
    if ((client as IoredisCluster).status === 'ready') await this.ask(client, 'PING')
  }

  async answered(client: DriverClient): Promise<void> {
    const nodes = (client as IoredisCluster).nodes().filter(({ status }) => status === 'ready')
    await Promise.allSettled(nodes.map((node) => node.call('PING')))
  }

  takeUnanswered(): readonly Unanswered[] {
    return []
  }

  async quit(client: DriverClient): Promise<void> {
    const cluster = client as IoredisCluster
    if (cluster.status !== 'ready') {
      cluster.disconnect()
      return
    }
    const ended = new Promise<void>((resolve) => {
      cluster.once('end', resolve)
    })
    // Nodes to which nothing was sent have no connection, and would open one to say goodbye.
    for (const node of cluster.nodes()) if (node.status === 'wait') node.disconnect()
    cluster.quit().catch(() => cluster.disconnect())
    await ended
  }

  cut(client: DriverClient): void {
    ;(client as IoredisCluster).disconnect()
  }

  hasSubscriptions(): boolean {
    return false
  }

  async unsubscribeAll(client: DriverClient): Promise<void> {
    const cluster = client as IoredisCluster
    await Promise.all([cluster.unsubscribe(), cluster.punsubscribe()])
  }

  tap(): void {
    // Only connections to one node are leased, and only leased ones are listened in to.
  }

  nodes(cluster: DriverClient): ClusterNode[] {
    const masters = new Set((cluster as IoredisCluster).nodes('master'))
    return (cluster as IoredisCluster).nodes().map((node) => ({
      address: addressOf(node),
      role: masters.has(node) ? 'master' : 'replica',
      connected: node.status === 'ready',
      inFlight: (node.commandQueue?.length ?? 0) + (node.offlineQueue?.length ?? 0),
    }))
  }

  ownerOf(client: DriverClient, slot: number | undefined): string | undefined {
    const cluster = client as IoredisCluster
    if (slot !== undefined) return cluster.slots[slot]?.[0]
    const masters = cluster.nodes('master')
    const master = masters[Math.floor(Math.random() * masters.length)]
    return master && addressOf(master)
  }

  async refresh(cluster: DriverClient): Promise<void> {
    await new Promise<void>((resolve) => {
      ;(cluster as IoredisCluster).refreshSlotsCache(() => resolve())
    })
  }

  nodeDialect(client: DriverClient, address: string): Promise<Dialect> {
    const cluster = client as IoredisCluster
    // A node that has just been lost is none of the driver's any more; another one has the same options.
    const node = cluster.nodes().find((each) => addressOf(each) === address) ?? cluster.nodes()[0]
    if (node === undefined) return Promise.reject(new Error(this.closedPhrase))
    const { redisOptions } = cluster.options
    const at = address.lastIndexOf(':')
    const options = {
      ...(redisOptions as object | undefined),
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      keyPrefix: this.keyPrefix,
      readOnly: false,
    }
    const dialect = new IoredisDialect((overrides) => node.duplicate({ ...options, ...overrides }))
    for (const [name, definition] of this.#scripts) dialect.defineCommand(name, definition)
    return Promise.resolve(dialect)
  }
}

function addressOf({ options }: IoredisClient): string {
  return `${String(options['host'])}:${String(options['port'])}`
}
