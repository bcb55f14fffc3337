import { lookup, type LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { HttpConnection } from './connection.ts'
import type { ResolvedHttpOptions } from './options.ts'

type Lookup = (
  hostname: string,
  options: { all: true },
  done: (error: Error | null, addresses: LookupAddress[] | string) => void,
) => void

/** An address is gone that is missing from so many answers in a row: large services name a few of theirs at a time. */
const MISSED_ANSWERS = 3

interface Watched {
  readonly gone: () => void
  missed: number
}

/**
 * Connections that are kept open for long go on to servers that their name does not mean any more. This looks the name
 * up now and then, and gives up connections to addresses that are gone from it. A name that cannot be looked up, or
 * has no address at all, says nothing about the connections there are.
 */
export class AddressWatch {
  readonly #hostname: string
  readonly #millis: number
  readonly #lookup: Lookup
  readonly #watched = new Map<HttpConnection, Watched>()
  #timer: NodeJS.Timeout | undefined

  constructor(hostname: string, millis: number, connect: ResolvedHttpOptions['connect']) {
    this.#hostname = hostname
    const { lookup: own, socketPath } = typeof connect === 'function' ? {} : connect
    // An address, a socket file and a connector of the user's own have no name that could change.
    const isNamed = isIP(hostname) === 0 && socketPath === undefined && typeof connect !== 'function'
    this.#millis = isNamed ? millis : Infinity
    this.#lookup = (typeof own === 'function' ? own : lookup) as Lookup
  }

  /** @param gone - called when the connection's address is not one of the name's any more */
  add(connection: HttpConnection, gone: () => void): void {
    if (this.#millis === Infinity || connection.address === undefined) return
    this.#watched.set(connection, { gone, missed: 0 })
    this.#timer ??= setInterval(() => this.#look(), this.#millis).unref()
  }

  delete(connection: HttpConnection): void {
    this.#watched.delete(connection)
    if (this.#watched.size === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#watched.clear()
  }

  #look(): void {
    this.#lookup(this.#hostname, { all: true }, (error, addresses) => {
      if (error !== null || typeof addresses === 'string' || addresses.length === 0) return
      const known = new Set(addresses.map(({ address }) => plain(address)))
      for (const [connection, watched] of this.#watched) {
        watched.missed = known.has(plain(connection.address ?? '')) ? 0 : watched.missed + 1
        if (watched.missed < MISSED_ANSWERS) continue
        this.delete(connection)
        watched.gone()
      }
    })
  }
}

/** IPv4 addresses, also where the system gives them the form of IPv6. */
const plain = (address: string): string => address.replace(/^::ffff:/, '')
