import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ManagedPool } from 'millpond'
import { observe } from 'millpond/observe'
import { viewContract } from 'millpond/testing'
import { startHttp, type HttpServer } from '@millpond/rig'
import { describeMysql, startServer as startMysql } from '../support/mysql.ts'
import {
  balancedPoolSubject,
  httpAgentSubject,
  keepAliveAgentSubject,
  undiciAgentSubject,
  undiciPoolSubject,
} from '../support/observe-http.ts'
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
function contract(
  name: string,
  describeKind: typeof describe,
  make: (options: SubjectOptions) => Subject,
  { hasTarget = true }: { hasTarget?: boolean } = {},
): void {
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
      makeBroken: async () => {
        const view = observed({ max: 2, isBroken: true, waitMillis: 500 })
        // What was made for no server in particular knows of one when it was asked for something.
        if (!hasTarget) await expect(subjectOf(view).work(0)).rejects.toThrow()
        return view
      },
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

describe('over HTTP', () => {
  let server: HttpServer
  beforeAll(async () => {
    server = await startHttp()
  })
  afterAll(async () => {
    await server.stop()
  })
  const secretly = (options: SubjectOptions): Parameters<typeof undiciPoolSubject> => [
    server,
    { ...options, secret: SECRET },
  ]
  contract('an Agent of undici', describe, (options) => undiciAgentSubject(...secretly(options)), { hasTarget: false })
  contract('a Pool of undici', describe, (options) => undiciPoolSubject(...secretly(options)))
  contract('a BalancedPool of undici', describe, (options) => balancedPoolSubject(...secretly(options)))
  contract('an http.Agent', describe, (options) => httpAgentSubject(...secretly(options)), { hasTarget: false })
  contract('agentkeepalive', describe, (options) => keepAliveAgentSubject(...secretly(options)), { hasTarget: false })
})
