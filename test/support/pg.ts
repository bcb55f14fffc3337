import pg from 'pg'
import { describe } from 'vitest'
import {
  checkPostgres,
  POSTGRES_MAJORS,
  startPostgres,
  ServerView,
  tryStart,
  type PostgresOptions,
  type PostgresServer,
} from '@millpond/rig'
import { pgPool, type BorrowedClient, type PgPoolExtras, type PgPoolOptions } from 'millpond/pg'

export type TestPool = pg.Pool & PgPoolExtras<BorrowedClient<typeof pg>>

/** The version that the tests run on: `MILLPOND_TEST_POSTGRES`, else the newest. */
export const postgresMajor =
  POSTGRES_MAJORS.find((major) => String(major) === process.env['MILLPOND_TEST_POSTGRES']) ?? POSTGRES_MAJORS[0]

const binaries = await tryStart(`PostgreSQL ${postgresMajor}`, () => Promise.resolve(checkPostgres(postgresMajor)))

/** `describe` for what needs PostgreSQL: skipped, loudly, where that does not run. */
export const describePostgres = describe.skipIf(binaries === undefined)

/** A server with a view on it, for the tests of one file. */
export async function startServer(
  options?: PostgresOptions,
): Promise<{ server: PostgresServer; view: ServerView; stop(): Promise<void> }> {
  const server = await startPostgres({ major: postgresMajor, ...options })
  const view = new ServerView(server)
  return {
    server,
    view,
    async stop() {
      await view.close()
      await server.stop()
    },
  }
}

export function poolOn(target: { readonly config: pg.ClientConfig }, options: PgPoolOptions<typeof pg> = {}): TestPool {
  return pgPool(pg, { ...target.config, ...options })
}

export async function pidOf(client: { query(text: string): Promise<pg.QueryResult> }): Promise<number> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  return (rows[0] as { pid: number }).pid
}
