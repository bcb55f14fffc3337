import { inspect } from 'node:util'
import { PoolClosedError } from '../../core/errors.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import { CHANNEL, type CallArguments, type GrpcCall, type GrpcChannelLike, type GrpcDeadline } from './driver.ts'
import { PooledCall, type CallHost, type CallWish } from './pooled-call.ts'

/** What the channel needs of its pool. */
export interface ChannelHost extends CallHost {
  readonly name: string
  state(): PoolState
  /** Channels that are open, and those being opened. */
  counts(): { readonly open: number; readonly creating: number }
  /** Opens a channel, if none is open. */
  connect(): void
  close(): void
  /** Calls back at every change that the state of the channel may follow. */
  onChange(listener: () => void): void
}

interface Watcher {
  readonly state: number
  readonly callback: (error?: Error) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** The channel of the client that users see: every call on it goes to a channel of the pool. */
export class PooledChannel implements GrpcChannelLike {
  readonly #host: ChannelHost
  readonly #watchers = new Set<Watcher>()
  #wish: CallWish = {}

  constructor(host: ChannelHost) {
    this.#host = host
    host.onChange(() => this.#tell())
  }

  /** Makes the calls that the callback starts with this wish. */
  wishing<R>(wish: CallWish, callback: () => R): R {
    this.#wish = wish
    try {
      return callback()
    } finally {
      this.#wish = {}
    }
  }

  createCall(...args: CallArguments): GrpcCall {
    const state = this.#host.state()
    if (state === 'closing' || state === 'closed') {
      throw new PoolClosedError(this.#host.name, `Channel has been shut down: pool "${this.#host.name}" is closed`)
    }
    return new PooledCall(this.#host, args, this.#wish)
  }

  close(): void {
    this.#host.close()
  }

  getTarget(): string {
    return this.#host.target
  }

  getConnectivityState(tryToConnect: boolean): number {
    const state = this.#state()
    if (tryToConnect && state === CHANNEL.IDLE) this.#host.connect()
    return state
  }

  #state(): number {
    const { open, creating } = this.#host.counts()
    switch (this.#host.state()) {
      case 'closing':
      case 'closed':
        return CHANNEL.SHUTDOWN
      case 'paused':
        return CHANNEL.TRANSIENT_FAILURE
      default:
        return open > 0 ? CHANNEL.READY : creating > 0 ? CHANNEL.CONNECTING : CHANNEL.IDLE
    }
  }

  watchConnectivityState(state: number, deadline: GrpcDeadline, callback: (error?: Error) => void): void {
    if (this.#state() === CHANNEL.SHUTDOWN) throw new Error('Channel has been shut down')
    const leftMillis = Number(deadline) - Date.now()
    const late = (): void => callback(new Error('Deadline passed without connectivity state change'))
    if (leftMillis <= 0) {
      process.nextTick(late)
      return
    }
    const timer =
      leftMillis === Infinity
        ? undefined
        : setTimeout(
            () => {
              this.#watchers.delete(watcher)
              late()
            },
            Math.min(leftMillis, 2 ** 31 - 1),
          )
    const watcher: Watcher = { state, callback, timer }
    this.#watchers.add(watcher)
    this.#tell()
  }

  #tell(): void {
    if (this.#watchers.size === 0) return
    // Never inside the call that changes the state, nor inside the one that begins to watch.
    setImmediate(() => {
      const state = this.#state()
      for (const watcher of [...this.#watchers]) {
        if (watcher.state === state) continue
        this.#watchers.delete(watcher)
        clearTimeout(watcher.timer)
        watcher.callback()
      }
    })
  }

  /** A name for the pool as a whole; the driver keeps one for each channel of its own. */
  getChannelzRef(): unknown {
    return { kind: 'channel', id: 0, name: this.#host.target }
  }

  [inspect.custom](): string {
    return `PooledChannel { pool: '${this.#host.name}' }`
  }
}
