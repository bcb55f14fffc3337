import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { startPostgres, waitFor, type PostgresServer } from '@millpond/rig'
import { pgPool } from 'millpond/pg'
import { describePostgres, postgresMajor } from '../support/pg.ts'

/** Of ten connections, PostgreSQL keeps three for its superusers. */
describePostgres('a `max` above what the server has', () => {
  let server: PostgresServer
  const warnings: (Error & { code?: string })[] = []
  const listen = (warning: Error): void => {
    if (warning.name === 'MillpondWarning') warnings.push(warning)
  }

  beforeAll(async () => {
    server = await startPostgres({ major: postgresMajor, settings: { max_connections: 10 } })
  })
  afterAll(async () => {
    await server.stop()
  })
  beforeEach(() => {
    vi.stubEnv('MILLPOND_PROFILE', 'production')
    warnings.length = 0
    process.on('warning', listen)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    process.off('warning', listen)
  })

  it('is warned of at the first connect, once, and the pool works on', async () => {
    const pool = pgPool(pg, { ...server.config, name: 'too-large', max: 50 })
    await Promise.all([1, 2, 3].map(() => pool.query('SELECT 1')))
    await waitFor(() => warnings.length > 0, { what: 'the warning' })
    await pool.end()
    expect(warnings.map(({ code }) => code)).toEqual(['MILLPOND_MAX_ABOVE_SERVER'])
    expect(warnings[0]?.message).toMatch(/`max` is 50, and the server has [67] connections left of 7/)
  })

  it('is fine where it fits, and is not asked for again', async () => {
    const pool = pgPool(pg, { ...server.config, name: 'fits', max: 4, resetSession: 'always' })
    const asked: string[] = []
    pool.on('connect', (client: { query: (...args: unknown[]) => unknown }) => {
      const { query } = client
      client.query = (...args) => {
        asked.push(String(args[0]))
        return query.apply(client, args)
      }
    })
    const clients = await Promise.all([1, 2, 3].map(() => pool.connect()))
    for (const client of clients) client.release()
    await pool.end()
    expect([warnings, asked.filter((text) => text.includes('max_connections'))]).toEqual([[], []])
  })
})
