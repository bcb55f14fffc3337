import { afterAll, beforeAll, describe } from 'vitest'
import { startFaultProxy, startHttp, type FaultProxy, type HttpServer } from '@millpond/rig'
import { describeOwnMysql, startOwnServer as startMysql } from '../support/mysql.ts'
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
} from '../support/observe.ts'
import {
  keepsCountThroughFaults,
  keepsCountWhenFull,
  type FaultyServer,
  type Kind,
} from '../support/observed-faults.ts'
import { describePostgres, startServer as startPostgres } from '../support/pg.ts'

const TAKES = 12

type FullServer = FaultyServer & { readonly takes: number }

function faultsOf(server: Omit<FaultyServer, 'count'>, count: () => Promise<number>): FullServer {
  return {
    takes: TAKES,
    kill: () => server.kill(),
    start: () => server.start(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    count,
  }
}

describePostgres('pools on PostgreSQL', () => {
  let rig: Awaited<ReturnType<typeof startPostgres>>
  beforeAll(async () => {
    rig = await startPostgres({
      // One more is for the rig itself.
      settings: { max_connections: TAKES + 1, superuser_reserved_connections: 0, reserved_connections: 0 },
    })
  })
  afterAll(async () => {
    await rig.stop()
  })
  const faulty = (): FullServer => faultsOf(rig.server, () => rig.view.count())
  const kinds: Kind[] = [
    { name: 'pg.Pool', make: (options) => pgSubject(rig.server.config, options) },
    { name: 'tarn', make: (options) => tarnSubject(rig.server.config, options) },
    { name: 'knex', make: (options) => knexSubject(rig.server.config, options) },
    { name: 'generic-pool', make: (options) => genericSubject(rig.server.config, options) },
  ]
  keepsCountThroughFaults(kinds, faulty)
  keepsCountWhenFull(kinds, faulty)
})

describeOwnMysql('pools on MariaDB', () => {
  let rig: Awaited<ReturnType<typeof startMysql>>
  beforeAll(async () => {
    rig = await startMysql({ settings: { 'max-connections': TAKES } })
  })
  afterAll(async () => {
    await rig.stop()
  })
  const faulty = (): FullServer => faultsOf(rig.server, () => rig.view.count())
  const kinds: Kind[] = [
    { name: 'mysql2/promise', make: (options) => mysqlSubject(rig.server.config, options) },
    { name: 'mysql2', make: (options) => mysqlCallbackSubject(rig.server.config, options) },
  ]
  keepsCountThroughFaults(kinds, faulty)
  keepsCountWhenFull(kinds, faulty)
})

describe('what keeps HTTP connections', () => {
  let server: HttpServer
  let proxy: FaultProxy
  beforeAll(async () => {
    server = await startHttp()
    proxy = await startFaultProxy(server)
  })
  afterAll(async () => {
    await proxy.close()
    await server.stop()
  })
  const faulty = (): FullServer => faultsOf(server, async () => (await server.view()).open)
  // No request is sent to ask for their health.
  const kinds = (to: () => HttpServer): Kind[] => [
    { name: "undici's Agent", make: (options) => undiciAgentSubject(to(), options), asksServer: false },
    { name: "undici's Pool", make: (options) => undiciPoolSubject(to(), options), asksServer: false },
    { name: "undici's BalancedPool", make: (options) => balancedPoolSubject(to(), options), asksServer: false },
    { name: 'http.Agent', make: (options) => httpAgentSubject(to(), options), asksServer: false },
    { name: 'agentkeepalive', make: (options) => keepAliveAgentSubject(to(), options), asksServer: false },
  ]
  keepsCountThroughFaults(
    kinds(() => server),
    faulty,
  )

  describe('behind a proxy that takes no more', () => {
    beforeAll(async () => {
      await proxy.set({ maxConnections: TAKES })
    })
    const behind = (): HttpServer => ({ origin: `http://127.0.0.1:${proxy.port}` }) as HttpServer
    keepsCountWhenFull(kinds(behind), faulty)
  })
})
