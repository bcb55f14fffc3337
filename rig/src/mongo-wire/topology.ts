import { Long, ObjectId, type Document } from 'bson'

export interface TopologyOptions {
  readonly port: number
  /** The name of the replica set, and its members; without it the server stands alone. */
  readonly replicaSet?: { readonly name: string; readonly hosts: readonly string[]; readonly isPrimary: boolean }
}

/** What the server says of itself, and to whom it tells a change of it. */
export class Topology {
  readonly #options: TopologyOptions
  readonly #processId = new ObjectId()
  #isPrimary: boolean
  #counter = 0
  // Later elections win, also over those before a restart.
  #election = Date.now()
  readonly #watchers = new Set<() => void>()

  constructor(options: TopologyOptions) {
    this.#options = options
    this.#isPrimary = options.replicaSet?.isPrimary ?? true
  }

  get isPrimary(): boolean {
    return this.#isPrimary
  }

  get isReplicaSet(): boolean {
    return this.#options.replicaSet !== undefined
  }

  /** Becomes primary or secondary; whoever watches is told at once. */
  setPrimary(isPrimary: boolean): void {
    this.#isPrimary = isPrimary
    if (isPrimary) this.#election = Math.max(this.#election + 1, Date.now())
    this.#counter++
    for (const told of [...this.#watchers]) told()
  }

  get version(): { readonly processId: ObjectId; readonly counter: Long } {
    return { processId: this.#processId, counter: Long.fromNumber(this.#counter) }
  }

  /** Whether a client that knows this version has missed nothing. */
  isCurrent(known: Document | undefined): boolean {
    if (known === undefined) return false
    const { processId, counter } = known as { readonly processId?: ObjectId; readonly counter?: unknown }
    return processId?.equals(this.#processId) === true && Number(counter) === this.#counter
  }

  /** Resolves at the next change, or after that time. */
  async change(withinMillis: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, withinMillis)
      this.#watchers.add(done)
    })
  }

  hello(connectionId: number): Document {
    const { replicaSet, port } = this.#options
    const isPrimary = this.#isPrimary
    return {
      helloOk: true,
      isWritablePrimary: isPrimary,
      ismaster: isPrimary,
      topologyVersion: this.version,
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      localTime: new Date(),
      logicalSessionTimeoutMinutes: 30,
      connectionId,
      minWireVersion: 0,
      maxWireVersion: 21,
      readOnly: false,
      ...(replicaSet === undefined
        ? {}
        : {
            setName: replicaSet.name,
            setVersion: 1,
            hosts: replicaSet.hosts,
            me: `127.0.0.1:${port}`,
            secondary: !isPrimary,
            ...(isPrimary
              ? {
                  primary: `127.0.0.1:${port}`,
                  electionId: new ObjectId(this.#election.toString(16).padStart(24, '0')),
                }
              : {}),
          }),
    }
  }
}
