import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, NOBODY, removeFolder, tempFolder } from './child.ts'
import { NativeServer } from './native-server.ts'
import { freePort } from './wait.ts'

export interface PgBouncerOptions {
  /** The PostgreSQL server behind it, with logins by `trust`. */
  readonly upstream: { readonly host: string; readonly port: number; readonly user: string; readonly database: string }
  /** When a connection of the server goes back. @defaultValue 'transaction' */
  readonly poolMode?: 'session' | 'transaction' | 'statement'
  /** How many connections to the server each pair of user and database has. @defaultValue 5 */
  readonly poolSize?: number
  /** How many clients it lets in. @defaultValue 100 */
  readonly maxClients?: number
  /** Whether our user may ask its console. @defaultValue false */
  readonly console?: boolean
}

/** PgBouncer in front of a PostgreSQL server, for clients without a password. */
export class PgBouncerServer extends NativeServer {
  readonly connectionString: string

  constructor(args: readonly string[], folder: string, port: number, { user, database }: PgBouncerOptions['upstream']) {
    // It refuses to work for root.
    super('pgbouncer', args, folder, port, { asNobody: isRoot })
    this.connectionString = `postgres://${user}@127.0.0.1:${port}/${database}`
  }
}

export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncerServer> {
  const { upstream, poolMode = 'transaction', poolSize = 5, maxClients = 100, console = false } = options
  const folder = tempFolder('pgbouncer')
  try {
    const port = await freePort()
    const [file, users] = [join(folder, 'pgbouncer.ini'), join(folder, 'users.txt')]
    writeFileSync(users, `"${upstream.user}" ""\n`)
    writeFileSync(
      file,
      `[databases]
${upstream.database} = host=${upstream.host} port=${upstream.port} user=${upstream.user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
max_client_conn = ${maxClients}
ignore_startup_parameters = extra_float_digits
${console ? `stats_users = ${upstream.user}\n` : ''}`,
    )
    if (isRoot) for (const path of [folder, file, users]) chownSync(path, NOBODY.uid, NOBODY.gid)
    const server = new PgBouncerServer([file], folder, port, upstream)
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
