import type { ClusterDialect, ClusterNode } from './cluster-dialect.ts'
import type { ConnectionHost, Dialect, DriverClient, LaneName, Opening, Unanswered } from './driver.ts'
import { NodeRedisDialect, type CreateClient, type NodeRedisClient, type NodeRedisCommand } from './node-redis.ts'

/** A node as node-redis has it. */
interface Node {
  readonly address: string
  readonly client?: NodeRedisClient | undefined
}

/** What the adapter touches of a cluster client of node-redis. `_slots` is not public, and survived. */
export interface NodeRedisCluster extends DriverClient {
  readonly isOpen: boolean
  readonly masters: readonly Node[]
  readonly replicas: readonly Node[]
  readonly slots: readonly ({ readonly master: Node } | undefined)[]
  readonly nodeByAddress: ReadonlyMap<string, Node>
  readonly _slots?: { rediscover?(): Promise<unknown> }
  connect(): Promise<unknown>
  close(): Promise<unknown>
  destroy(): void
  nodeClient(node: Node): Promise<NodeRedisClient> | NodeRedisClient
  sendCommand(
    firstKey: unknown,
    isReadonly: boolean | undefined,
    args: readonly unknown[],
    options?: unknown,
  ): Promise<unknown>
  unsubscribe(): Promise<unknown>
  pUnsubscribe(): Promise<unknown>
  MULTI(routing?: unknown): object
  /** The class of what MULTI makes. It gets the two functions that send a batch. */
  readonly Multi: new (multi: SendBatch, pipeline: SendBatch, ...rest: unknown[]) => object
}

/** Sends the commands of a MULTI to the node of the first key. */
export type SendBatch = (
  firstKey: unknown,
  isReadonly: boolean | undefined,
  commands: readonly NodeRedisCommand[],
) => Promise<unknown>

export type BatchKind = 'multi' | 'pipeline'

export type CreateCluster = (options: never) => NodeRedisCluster

export class NodeRedisClusterDialect implements ClusterDialect {
  readonly driver = 'node-redis'
  readonly closedPhrase = 'The client is closed'
  readonly homeDb = 0
  // node-redis never sends a command again of which it does not know whether it was carried out.
  readonly maxRetries = 0
  readonly resends = false
  readonly template: NodeRedisCluster
  readonly keyPrefix: string
  readonly #createCluster: CreateCluster
  readonly #options: Readonly<Record<string, unknown>>

  constructor(createCluster: CreateCluster, options: Readonly<Record<string, unknown>>) {
    this.#createCluster = createCluster
    this.#options = options
    this.template = this.#make()
    this.template.on('error', () => undefined)
    this.keyPrefix = typeof options['keyPrefix'] === 'string' ? options['keyPrefix'] : ''
  }

  /** node-redis writes into the options that it gets, root nodes included, so each client has its own. */
  #make(): NodeRedisCluster {
    const { rootNodes, ...rest } = this.#options
    const nodes = Array.isArray(rootNodes) ? (rootNodes as object[]) : []
    return this.#createCluster({
      ...rest,
      rootNodes: nodes.map((node) => ({
        ...node,
        ...('socket' in node ? { socket: { ...(node.socket as object) } } : {}),
      })),
    } as never)
  }

  open(_lane: LaneName, host: ConnectionHost): Opening {
    const cluster = this.#make()
    let isWaiting = false
    let lastError: unknown
    cluster.on('error', (error: unknown) => {
      lastError = error
    })
    // Without a master that takes commands, they wait in the pool: the driver's own queue knows no deadline.
    const look = (): void => {
      if (!cluster.isOpen || isWaiting !== cluster.masters.some(({ client }) => client?.isReady === true)) return
      isWaiting = !isWaiting
      if (isWaiting) host.waits(cluster)
      else host.back(cluster)
    }
    const ready = cluster.connect().then(
      () => {
        for (const event of ['node-ready', 'node-reconnecting', 'node-disconnect']) cluster.on(event, look)
      },
      (error: unknown) => Promise.reject((lastError ?? error) as Error),
    )
    return { client: cluster, ready }
  }

  isReady(client: DriverClient): boolean {
    return (client as NodeRedisCluster).isOpen
  }

  inFlight(): undefined {
    return undefined
  }

  async ask(client: DriverClient, ...command: string[]): Promise<unknown> {
    return await (client as NodeRedisCluster).sendCommand(undefined, false, command)
  }

  /** That one node answers: the driver connects to lost ones by itself. */
  async prove(client: DriverClient): Promise<void> {
    const node = (client as NodeRedisCluster).masters.find((master) => master.client?.isReady === true)
    await node?.client?.sendCommand(['PING'])
  }

  async answered(client: DriverClient): Promise<void> {
    const { masters, replicas } = client as NodeRedisCluster
    const clients = [...masters, ...replicas].map((node) => node.client).filter((each) => each?.isReady === true)
    await Promise.allSettled(clients.map(async (each) => await each?.sendCommand(['PING'])))
  }

  takeUnanswered(): readonly Unanswered[] {
    return []
  }

  async quit(client: DriverClient): Promise<void> {
    if ((client as NodeRedisCluster).isOpen) await (client as NodeRedisCluster).close()
  }

  cut(client: DriverClient): void {
    try {
      ;(client as NodeRedisCluster).destroy()
    } catch {
      // A node's client that was closed already throws, before 5.9.
    }
  }

  hasSubscriptions(): boolean {
    return false
  }

  async unsubscribeAll(client: DriverClient): Promise<void> {
    await Promise.all([(client as NodeRedisCluster).unsubscribe(), (client as NodeRedisCluster).pUnsubscribe()])
  }

  tap(): void {
    // Only connections to one node are leased, and only leased ones are listened in to.
  }

  /** A MULTI whose commands go where `send` sends them. */
  multi(
    view: NodeRedisCluster,
    routing: unknown,
    send: (how: BatchKind, ...args: Parameters<SendBatch>) => Promise<unknown>,
  ): object {
    const carrier = Object.create(view) as NodeRedisCluster
    const { Multi } = view
    Object.defineProperty(carrier, 'Multi', {
      value: function (_multi: SendBatch, _pipeline: SendBatch, ...rest: unknown[]) {
        return new Multi(
          (...args) => send('multi', ...args),
          (...args) => send('pipeline', ...args),
          ...rest,
        )
      },
    })
    return carrier.MULTI(routing)
  }

  /** How a cluster client itself sends a batch. */
  sendBatch(view: NodeRedisCluster, how: BatchKind): SendBatch {
    const carrier = Object.create(view) as NodeRedisCluster
    let found: SendBatch | undefined
    Object.defineProperty(carrier, 'Multi', {
      value: function (multi: SendBatch, pipeline: SendBatch) {
        found = how === 'multi' ? multi : pipeline
      },
    })
    carrier.MULTI()
    if (found === undefined) throw new Error('the MULTI of this version of node-redis is not known')
    return found
  }

  nodes(cluster: DriverClient): ClusterNode[] {
    const { masters, replicas } = cluster as NodeRedisCluster
    const view = (role: ClusterNode['role']) => (node: Node) => ({
      address: node.address,
      role,
      connected: node.client?.isReady === true,
      inFlight: 0,
    })
    return [...masters.map(view('master')), ...replicas.map(view('replica'))]
  }

  ownerOf(cluster: DriverClient, slot: number | undefined): string | undefined {
    const { masters, slots } = cluster as NodeRedisCluster
    if (slot !== undefined) return slots[slot]?.master.address
    return masters[Math.floor(Math.random() * masters.length)]?.address
  }

  async refresh(client: DriverClient, moved?: unknown): Promise<void> {
    const cluster = client as NodeRedisCluster
    if (cluster._slots?.rediscover !== undefined) await cluster._slots.rediscover()
    // Before 5.9 the driver asks only when it is itself told that a key has moved.
    else if (moved !== undefined) await cluster.sendCommand(moved, false, ['TYPE', moved])
  }

  async nodeDialect(client: DriverClient, address: string): Promise<Dialect> {
    const cluster = client as NodeRedisCluster
    const known = cluster.nodeByAddress.get(address)
    // One that has just joined is not known yet; it is reached as the others are.
    const node = known ?? cluster.masters[0]
    if (node === undefined) throw new Error(this.closedPhrase)
    // While a node cannot be reached, the promise of its client stays open; the client itself is there.
    const made = node.client ?? (await cluster.nodeClient(node))
    const { socket } = { ...(made.options as { readonly socket?: object } | undefined) }
    const at = address.lastIndexOf(':')
    const place = known === undefined ? { host: address.slice(0, at), port: Number(address.slice(at + 1)) } : {}
    const create = (options: object): NodeRedisClient =>
      (made as unknown as { duplicate(options: object): NodeRedisClient }).duplicate({
        ...options,
        readonly: false,
        ...(this.keyPrefix === '' ? {} : { keyPrefix: this.keyPrefix }),
      })
    return new NodeRedisDialect(create as unknown as CreateClient, { socket: { ...socket, ...place } })
  }
}
