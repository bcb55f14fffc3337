import { execFileSync } from 'node:child_process'
import { chownSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { isRoot, NOBODY, removeFolder, tempFolder } from './child.ts'
import { findPostgres } from './postgres-binaries.ts'
import { PostgresServer } from './postgres.ts'
import { freePort } from './wait.ts'

/** Starts a hot standby that follows a running server by streaming replication. It ends with this process. */
export async function startStandby(primary: PostgresServer): Promise<PostgresServer> {
  const folder = tempFolder('pg-standby')
  if (isRoot) chownSync(folder, NOBODY.uid, NOBODY.gid)
  const own = (file: string, text: string): void => {
    writeFileSync(join(folder, 'data', file), text, { mode: 0o600 })
    if (isRoot) chownSync(join(folder, 'data', file), NOBODY.uid, NOBODY.gid)
  }
  const client = new pg.Client(primary.config)
  try {
    const binaries = findPostgres(primary.major, folder)
    await client.connect()
    // The programs of npm have no pg_basebackup; this is what it does.
    await client.query("SELECT pg_backup_start('standby', true)")
    execFileSync('cp', ['-a', primary.dataFolder, join(folder, 'data')])
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
    rmSync(join(folder, 'data', 'postmaster.pid'), { force: true })
    own('backup_label', rows[0]?.labelfile ?? '')
    own('standby.signal', '')
    const { host, port, user, password } = primary.config
    const standby = new PostgresServer(folder, await freePort(), binaries, {
      major: primary.major,
      password,
      settings: { primary_conninfo: `host=${host} port=${port} user=${user} password=${password}` },
    })
    await standby.start()
    return standby
  } catch (error) {
    removeFolder(folder)
    throw error
  } finally {
    await client.end()
  }
}

/** Makes a standby a server of its own, which takes writes. */
export async function promote(standby: PostgresServer): Promise<void> {
  const client = new pg.Client(standby.config)
  await client.connect()
  try {
    await client.query('SELECT pg_promote()')
  } finally {
    await client.end()
  }
}
