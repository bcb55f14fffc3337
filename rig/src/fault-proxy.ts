import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { Lane, type LaneFaults } from './proxy-lane.ts'

/** What happens to a new connection. `reset`, `fin`: accepted and ended · `silence`: accepted, and nothing more. */
export type ConnectFault = 'accept' | 'reset' | 'fin' | 'silence'

export interface Faults {
  /** What happens to new connections; `refuse`: nobody listens. A function is asked for each, counted from 1. @defaultValue 'accept' */
  readonly connect?: ConnectFault | 'refuse' | ((count: number) => ConnectFault)
  /** A new connection is taken at once, and reaches the server only this much later. @defaultValue 0 */
  readonly connectDelayMillis?: number
  /** A connection on which nothing passed for this long is forgotten without a word, as NAT gateways do. @defaultValue Infinity */
  readonly forgetIdleMillis?: number
  /** Client to server. */
  readonly up?: LaneFaults
  /** Server to client. */
  readonly down?: LaneFaults
  /** Further connections are reset. @defaultValue Infinity */
  readonly maxConnections?: number
}

export interface ProxiedConnection {
  readonly id: number
  readonly clientPort: number
  /** Swallows what is sent both ways from now on; delivered after {@link FaultProxy.clear}. */
  blackHole(): void
  cut(how: 'reset' | 'fin'): void
}

/** Where a proxy listens. */
export interface ProxyAddress {
  /** @defaultValue '127.0.0.1' */
  readonly host?: string
  /** `0`: any that is free. @defaultValue 0 */
  readonly port?: number
}

interface Connection extends ProxiedConnection {
  readonly up: Lane
  readonly down: Lane
}

/** A TCP proxy whose faults are switched while connections run through it. */
export class FaultProxy implements AsyncDisposable {
  readonly host: string
  readonly #connections = new Map<number, Connection>()
  readonly #silent = new Set<Socket>()
  /** Both sides of everything that runs through, until it is closed. */
  readonly #sockets = new Set<Socket>()
  readonly #random: () => number
  #target: { readonly host: string; readonly port: number }
  #server: Server
  #port: number
  #faults: Faults = {}
  #accepted = 0
  /** Connections accepted since the present faults were set. */
  #acceptedNow = 0
  #lastId = 0

  constructor(
    target: { readonly host: string; readonly port: number },
    random: () => number,
    { host = '127.0.0.1', port = 0 }: ProxyAddress = {},
  ) {
    this.#target = target
    this.#random = random
    this.host = host
    this.#port = port
    this.#server = this.#makeServer()
  }

  get port(): number {
    return this.#port
  }

  /** Connections accepted since the start. */
  get accepted(): number {
    return this.#accepted
  }

  get connections(): readonly ProxiedConnection[] {
    return [...this.#connections.values()]
  }

  setTarget(target: { readonly host: string; readonly port: number }): void {
    this.#target = target
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, this.host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Replaces the faults in force. */
  async set(faults: Faults): Promise<void> {
    const wasRefusing = this.#faults.connect === 'refuse'
    this.#faults = faults
    this.#acceptedNow = 0
    for (const { up, down } of this.#connections.values()) {
      up.set(faults.up ?? {})
      down.set(faults.down ?? {})
    }
    if (faults.connect === 'refuse' && !wasRefusing) {
      // Closing stops the listening at once; it calls back only when the last connection is gone.
      this.#server.close()
    } else if (faults.connect !== 'refuse' && wasRefusing) {
      this.#server = this.#makeServer()
      await this.listen()
    }
  }

  /** Ends all faults; what a black hole swallowed is delivered. */
  async clear(): Promise<void> {
    await this.set({})
    for (const socket of this.#silent) socket.resetAndDestroy()
    this.#silent.clear()
  }

  /** Nothing passes either way from now on, and new connections get no answer. */
  async blackHole(): Promise<void> {
    await this.set({ connect: 'silence', up: { blackHole: true }, down: { blackHole: true } })
  }

  /** Ends every connection there is. */
  cutAll(how: 'reset' | 'fin'): void {
    for (const connection of this.#connections.values()) connection.cut(how)
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.cutAll('reset')
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #makeServer(): Server {
    return createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client)
    })
  }

  #accept(client: Socket): void {
    this.#accepted++
    this.#acceptedNow++
    client.on('error', () => undefined)
    this.#track(client)
    const { connect: fault = 'accept', maxConnections = Infinity, connectDelayMillis = 0 } = this.#faults
    const how = typeof fault === 'function' ? fault(this.#acceptedNow) : fault
    if (how === 'reset' || this.#connections.size >= maxConnections) client.resetAndDestroy()
    else if (how === 'fin') client.end()
    else if (how === 'silence') this.#keepSilent(client)
    else if (connectDelayMillis > 0) this.#forwardLater(client, connectDelayMillis)
    else this.#forward(client)
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #forwardLater(client: Socket, delayMillis: number): void {
    this.#keepSilent(client)
    setTimeout(() => {
      if (!this.#silent.delete(client)) return
      client.resume()
      this.#forward(client)
    }, delayMillis).unref()
  }

  #keepSilent(client: Socket): void {
    this.#silent.add(client)
    client.pause()
    client.once('close', () => this.#silent.delete(client))
  }

  #forward(client: Socket): void {
    const id = ++this.#lastId
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    this.#track(server)
    const cut = (how: 'reset' | 'fin'): void => {
      this.#connections.delete(id)
      for (const socket of [client, server]) {
        if (how === 'reset') socket.resetAndDestroy()
        else socket.end()
      }
    }
    const up = new Lane(client, server, this.#random, cut)
    const down = new Lane(server, client, this.#random, cut)
    up.set(this.#faults.up ?? {})
    down.set(this.#faults.down ?? {})
    const blackHole = (): void => {
      up.set({ blackHole: true })
      down.set({ blackHole: true })
    }
    this.#connections.set(id, { id, clientPort: client.remotePort ?? 0, up, down, blackHole, cut })
    const { forgetIdleMillis = Infinity } = this.#faults
    if (forgetIdleMillis !== Infinity) {
      forgetWhenIdle([client, server], forgetIdleMillis, () => {
        if (this.#faults.forgetIdleMillis !== undefined) blackHole()
      })
    }
    // An end of one side that is not an orderly one is passed on as it is.
    for (const [side, other] of [
      [client, server],
      [server, client],
    ] as const) {
      side.on('error', () => other.resetAndDestroy())
      side.once('close', () => {
        this.#connections.delete(id)
        if (!other.destroyed && !other.writableEnded) other.end()
      })
    }
  }
}

/** Calls back when nothing has come from either side for this long. */
function forgetWhenIdle(sides: readonly Socket[], millis: number, forget: () => void): void {
  const timer = setTimeout(forget, millis)
  timer.unref()
  for (const side of sides) {
    side.on('data', () => timer.refresh())
    side.once('close', () => clearTimeout(timer))
  }
}

/** @param random - numbers from 0 to 1, for jitter; hand in a seeded one to repeat a run */
export async function startFaultProxy(
  target: { readonly host: string; readonly port: number },
  random: () => number = Math.random,
  address?: ProxyAddress,
): Promise<FaultProxy> {
  const proxy = new FaultProxy({ host: target.host, port: target.port }, random, address)
  await proxy.listen()
  return proxy
}
