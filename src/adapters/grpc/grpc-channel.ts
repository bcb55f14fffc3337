import { inspect } from 'node:util'
import { CHANNEL, type GrpcChannelLike, type GrpcClient } from './driver.ts'

/** A call that runs on a channel. */
export interface RunningCall {
  cancelWithStatus(code: number, details: string): void
}

/** What is pooled: a client of the user's own class, whose channel has a connection of its own. */
export class GrpcChannel<C extends GrpcClient = GrpcClient> {
  readonly client: C
  readonly channel: GrpcChannelLike
  /** Calls of the pool's client that run on it. */
  readonly calls = new Set<RunningCall>()
  /** When the server was last heard on it, by the clock of `performance.now()`, at most one turn earlier. */
  heardAt = 0
  /** A check is under way whether the server still answers. */
  checking = false
  /** The pool has ended it. */
  ended = false

  constructor(client: C) {
    this.client = client
    this.channel = client.getChannel() as GrpcChannelLike
  }

  get isReady(): boolean {
    return !this.ended && this.channel.getConnectivityState(false) === CHANNEL.READY
  }

  /** Counts only: the driver's objects hold credentials. */
  [inspect.custom](): string {
    return `GrpcChannel { ready: ${this.isReady}, calls: ${this.calls.size} }`
  }
}
