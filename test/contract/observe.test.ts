import { afterAll, beforeAll, describe, it } from 'vitest'
import type { ManagedPool } from 'millpond'
import { observe } from 'millpond/observe'
import { viewContract } from 'millpond/testing'
import { describeMysql, startServer as startMysql } from '../support/mysql.ts'
import {
  genericSubject,
  knexSubject,
  mysqlCallbackSubject,
  mysqlSubject,
  pgSubject,
  tarnSubject,
  type Subject,
  type SubjectOptions,
} from '../support/observe.ts'
import { describePostgres, startServer as startPostgres } from '../support/pg.ts'

const SECRET = 'the-password-of-the-views'

/** Holds the contract to a view of one kind. */
function contract(name: string, describeKind: typeof describe, make: (options: SubjectOptions) => Subject): void {
  const subjects = new WeakMap<ManagedPool, Subject>()
  const observed = (options: SubjectOptions): ManagedPool => {
    const subject = make(options)
    const view = observe(subject.pool)
    subjects.set(view, subject)
    return view
  }
  const subjectOf = (view: ManagedPool): Subject => {
    const subject = subjects.get(view)
    if (subject === undefined) throw new Error('not one of these')
    return subject
  }
  viewContract(
    `observe(${name})`,
    { describe: describeKind, it },
    {
      make: () => observed({ max: 2, waitMillis: 1_000 }),
      makeBroken: () => observed({ max: 2, isBroken: true, waitMillis: 500 }),
      touch: async (view) => {
        await subjectOf(view).work(0)
      },
      exhaust: async (view) => {
        const releases = [await subjectOf(view).borrow(), await subjectOf(view).borrow()]
        return () => Promise.all(releases.map((release) => release()))
      },
      secrets: [SECRET],
    },
  )
}

describe('on PostgreSQL', () => {
  let rig: Awaited<ReturnType<typeof startPostgres>>
  beforeAll(async () => {
    rig = await startPostgres({ auth: 'scram-sha-256', password: SECRET })
  })
  afterAll(async () => {
    await rig.stop()
  })
  contract('pg.Pool', describePostgres as typeof describe, (options) => pgSubject(rig.server.config, options))
  contract('tarn', describePostgres as typeof describe, (options) => tarnSubject(rig.server.config, options))
  contract('knex', describePostgres as typeof describe, (options) => knexSubject(rig.server.config, options))
  contract('generic-pool', describePostgres as typeof describe, (options) => genericSubject(rig.server.config, options))
})

describeMysql('on MariaDB', () => {
  let rig: Awaited<ReturnType<typeof startMysql>>
  beforeAll(async () => {
    rig = await startMysql({ password: SECRET })
  })
  afterAll(async () => {
    await rig.stop()
  })
  contract('mysql2/promise', describe, (options) => mysqlSubject(rig.server.config, options))
  contract('mysql2', describe, (options) => mysqlCallbackSubject(rig.server.config, options))
})
