import { inspect, type InspectOptions } from 'node:util'
import type {
  DriverCommand,
  DriverConfig,
  DriverConnection,
  DriverConnectionClass,
  DriverPacket,
  DriverParts,
  DriverPool,
} from './driver.ts'
import { isError, isWord } from './protocol.ts'
import { Session } from './session.ts'

/** A connection of a pool: the driver's own, with an ear on what the server says. */
export interface PooledConnection extends DriverConnection {
  readonly session: Session
  /** Logged in: from here on its settings hold no secret, however they are looked at. */
  loggedIn(): void
  /** Logs the same user in again: a session from its beginning, for drivers that cannot ask for a reset. */
  resetByLogin(): Promise<unknown>
}

export type PooledConnectionClass = new (pool: DriverPool, options: { config: DriverConfig }) => PooledConnection

const SECRETS = ['password', 'password1', 'password2', 'password3', 'passwordSha1'] as const

/** Makes the secrets of settings invisible: to `inspect`, to JSON, to a spread. */
export function hideSecrets(config: Record<string, unknown>): void {
  for (const secret of [...SECRETS, 'uri']) {
    if (secret in config) Object.defineProperty(config, secret, { enumerable: false })
  }
}

const classes = new WeakMap<DriverParts, PooledConnectionClass>()

/** The class of pooled connections for one copy of the driver: a real subclass of its own. */
export function pooledConnectionOf(parts: DriverParts): PooledConnectionClass {
  const known = classes.get(parts)
  if (known !== undefined) return known
  const Base: DriverConnectionClass = parts.PoolConnection

  class PoolConnection extends Base implements PooledConnection {
    readonly session = new Session()
    readonly #login: Readonly<Record<string, unknown>>

    constructor(pool: DriverPool, options: { config: DriverConfig }) {
      super(pool, options)
      const { user, database } = options.config
      this.#login = { user, database, ...secretsOf(options.config) }
    }

    loggedIn(): void {
      this.session.listening = true
      this.#forgetSecrets()
    }

    #forgetSecrets(): void {
      // The driver copies the settings into every command: there is nothing in them to be shown.
      for (const secret of SECRETS) if (secret in this.config) this.config[secret] = undefined
    }

    override handlePacket(packet?: DriverPacket): void {
      // Most packets are columns and rows. While it is paused the driver keeps the packet, and comes again with it.
      if (packet === undefined || !isWord(packet) || this._paused || !this.session.listening || !this._command) {
        super.handlePacket(packet)
        return
      }
      const { session } = this
      session.note(packet, this._command)
      if (!isError(packet)) {
        super.handlePacket(packet)
        return
      }
      session.failing = true
      try {
        super.handlePacket(packet)
      } finally {
        session.failing = false
      }
    }

    /**
     * As the driver's, without its callback, for which Node keeps a record and a tick of every write: the socket's error
     * is told to the driver by its event as well, as long as the socket is whole. (One that is destroyed without an error
     * tells nobody what was not written; `cut` does.)
     */
    override write(bytes: Uint8Array): void {
      const { stream } = this
      if (stream.destroyed === true || stream.writableEnded === true) super.write(bytes)
      else if (!stream.write(bytes)) stream.emit('pause')
    }

    /** The driver tells nobody who reads a stream, or events, that the connection is gone. */
    override _notifyError(error: unknown): void {
      const silent: DriverCommand[] = []
      if (this.session.listening) {
        const waiting = [
          this._command,
          ...Array.from({ length: this._commands.length }, (_, n) => this._commands.get(n)),
        ]
        for (const command of waiting) if (command && command.onResult === undefined) silent.push(command)
      }
      super._notifyError(error)
      for (const command of silent) if (command.listenerCount('error') > 0) command.emit('error', error)
    }

    override query(sql: unknown, values?: unknown, callback?: unknown): DriverCommand {
      this.session.noteStatement(sql)
      // A command that the driver has made comes alone: whoever traces the driver counts the arguments.
      return values === undefined && callback === undefined ? super.query(sql) : super.query(sql, values, callback)
    }

    override execute(sql: unknown, values?: unknown, callback?: unknown): DriverCommand {
      this.session.noteStatement(sql)
      return super.execute(sql, values, callback)
    }

    /** Another user's session is never lent again. What is not named stays as it was at the login. */
    override changeUser(options: object, callback?: (error: unknown) => void): unknown {
      const [given, done] =
        typeof options === 'function' ? [{}, options as (error: unknown) => void] : [options, callback]
      this.session.foreign = true
      return super.changeUser({ ...this.#login, ...given }, (error) => {
        this.#forgetSecrets()
        done?.(error)
      })
    }

    /** A session of the same user, from its beginning. */
    resetByLogin(): Promise<unknown> {
      return new Promise((resolve, reject) => {
        super.changeUser(this.#login, (error) => {
          this.#forgetSecrets()
          if (error) reject(error)
          else resolve(undefined)
        })
      })
    }

    /** Where it is connected to, and never the password. */
    [inspect.custom](_depth: number, options: InspectOptions): string {
      return shown('PoolConnection', this, {}, options)
    }
  }

  classes.set(parts, PoolConnection)
  return PoolConnection
}

function secretsOf(config: Readonly<DriverConfig>): Record<string, unknown> {
  return Object.fromEntries(
    SECRETS.filter((secret) => config[secret] !== undefined).map((secret) => [secret, config[secret]]),
  )
}

/** How a connection, and what stands for it, looks in a log. */
export function shown(
  name: string,
  { threadId, config }: Pick<DriverConnection, 'threadId' | 'config'>,
  more: object,
  options: InspectOptions,
): string {
  const { host, port, socketPath, database, user } = config
  const where = socketPath === undefined ? { host, port } : { socketPath }
  return `${name} ${inspect({ threadId, ...where, database, user, ...more }, options)}`
}
