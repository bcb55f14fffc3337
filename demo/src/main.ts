import { ServerView, sleep, type PostgresServer } from '@millpond/rig'
import { compare } from './compare.ts'
import { Load, Tally } from './load.ts'
import { HELP, readOptions, type DemoOptions } from './options.ts'
import { makePools, SCHEMA, type Pools } from './pools.ts'
import { Screen } from './screen.ts'
import { Service } from './service.ts'
import { startServers, type Servers } from './servers.ts'
import { PooledShop } from './shop.ts'
import { mount, show } from './watching.ts'

interface Phase {
  readonly name: string
  /** Share of the whole time. */
  readonly share: number
  readonly clients: number
  readonly pauseMillis: number
  /** What goes wrong meanwhile. */
  readonly away?: 'database' | 'prices'
}

const PHASES: readonly Phase[] = [
  { name: 'quiet', share: 0.15, clients: 4, pauseMillis: 20 },
  { name: 'burst', share: 0.2, clients: 100, pauseMillis: 0 },
  { name: 'restart', share: 0.3, clients: 20, pauseMillis: 10, away: 'database' },
  { name: 'prices away', share: 0.15, clients: 20, pauseMillis: 10, away: 'prices' },
  { name: 'recovered', share: 0.2, clients: 20, pauseMillis: 10 },
]

/** How long the database is away. */
const DOWN_MILLIS = 1_500
const TICK_MILLIS = 500

/** What is to be undone, last first, when the demo ends in whichever way. */
const undo: (() => Promise<unknown>)[] = []
let isEnding = false

async function end(code: number): Promise<never> {
  isEnding = true
  for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => console.error(String(error)))
  process.exit(code)
}

function handleSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(code)
      console.log('\nDraining … (again to end at once)')
      void end(code)
    })
  }
}

async function closePools({ registry }: Pools): Promise<void> {
  const reports = await registry.close({ timeoutMillis: 3_000 })
  const sum = (count: (report: (typeof reports)[number]) => number): number =>
    reports.reduce((total, report) => total + count(report), 0)
  console.log(
    `${reports.length} pools closed: ${sum(({ closed }) => closed)} connections in order, ${sum(({ forced }) => forced)} cut.`,
  )
}

async function main(options: DemoOptions): Promise<void> {
  const screen = new Screen(process.stdout.isTTY)
  handleSignals()
  screen.progress('Starting servers: PostgreSQL, Redis, MariaDB, HTTP, gRPC, and a stand-in for MongoDB …')
  const servers = await startServers(options.url, (step) => undo.push(step))
  for (const each of servers.missing) screen.progress(each)
  if (servers.missing.some((each) => each.includes('is not installed')))
    screen.progress('(`node scripts/install-servers.mjs` installs them on Debian and Ubuntu, as root.)')
  const { postgres } = servers
  const url = options.url ?? postgres?.connectionString ?? ''
  const view = postgres === undefined ? undefined : new ServerView(postgres)
  if (view !== undefined) undo.push(() => view.close())

  const pools = makePools(url, servers)
  undo.push(() => closePools(pools))
  const shop = new PooledShop(pools)
  await shop.prepare()
  if (postgres === undefined) undo.push(() => pools.orders.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`))

  const dashboard = await show(pools)
  undo.push(() => dashboard.close())
  const service = new Service(shop, mount(pools.registry))
  const base = await service.listen(options.port)
  undo.push(() => service.close())
  screen.progress(`
The shop       ${base}/users/1, POST ${base}/orders
Its dashboard  ${dashboard.url}
Its health     ${base}/health
Its metrics    ${base}/metrics`)

  view?.markLogins()
  const before = pools.orders.stats().created
  const tally = new Tally()
  const load = new Load(base, tally)
  undo.push(() => load.stop())
  const outage = await runPhases(screen, options, pools, servers, load, tally)
  await load.stop()
  const logins = view === undefined ? pools.orders.stats().created - before : view.logins()
  report(pools, shop, tally, outage, logins)
  await compare(Math.min(4, options.seconds / 5), pools.orders, url, view)
  if (options.keep) {
    console.log(`\nThe shop stays open at ${base}, its dashboard at ${dashboard.url}; Ctrl-C ends it.`)
    return
  }
  await end(0)
}

async function runPhases(
  screen: Screen,
  options: DemoOptions,
  pools: Pools,
  servers: Servers,
  load: Load,
  tally: Tally,
): Promise<number | undefined> {
  const { postgres, prices } = servers
  screen.begin()
  let outage: number | undefined
  for (const phase of PHASES) {
    load.set(phase.clients, phase.pauseMillis)
    const name = phase.away === 'database' && postgres === undefined ? 'steady' : phase.name
    if (phase.away === 'prices') await prices?.kill()
    const until = performance.now() + options.seconds * 1_000 * phase.share
    const recovery = phase.away === 'database' && postgres !== undefined ? restart(pools, postgres) : undefined
    // On a slow machine the database may need more time to come back than its phase has; what follows needs it.
    let isRecovering = recovery !== undefined
    const over = (): boolean => (isRecovering = false)
    recovery?.then(over, over)
    const errorsBefore = tally.errors
    let tickedAt = performance.now()
    while ((isRecovering || until - performance.now() > TICK_MILLIS / 4) && !isEnding) {
      await sleep(Math.min(TICK_MILLIS, Math.max(until - performance.now(), TICK_MILLIS / 4)))
      const { count, p50, p99 } = tally.takeRecent()
      const requestsPerSecond = (count * 1_000) / (performance.now() - tickedAt)
      screen.show({
        phase: name,
        requestsPerSecond,
        p50,
        p99,
        errors: tally.errors - errorsBefore,
        pools: pools.registry.stats(),
      })
      tickedAt = performance.now()
    }
    if (isEnding) await new Promise(() => undefined)
    outage = (await recovery) ?? outage
    screen.endPhase(pools.registry.stats())
    if (phase.away === 'prices') await prices?.start()
  }
  return outage
}

/** Kills the database and starts it again; tells how long after that the first query succeeded. */
async function restart({ orders }: Pools, server: PostgresServer): Promise<number> {
  await sleep(500)
  await server.kill()
  await sleep(DOWN_MILLIS)
  await server.start()
  const backAt = performance.now()
  await orders.query('SELECT 1')
  return performance.now() - backAt
}

function report(
  { orders, registry }: Pools,
  shop: PooledShop,
  tally: Tally,
  outage: number | undefined,
  logins: number,
): void {
  const stats = orders.stats()
  const { p50, p99 } = tally.overall()
  const errors = [...tally.errorsByKind].map(([kind, count]) => `${count} × ${kind}`).join(', ')
  const [leases, opened] = registry
    .stats()
    .reduce(([sum, opens], pool) => [sum + pool.acquired, opens + pool.created], [0, 0])
  console.log(`\nReport
  requests             ${tally.requests}, of which ${tally.errors} failed${errors === '' ? '' : ` (${errors})`}
  answered in          p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${tally.longestMillis.toFixed(0)} ms
  connections opened   ${logins} to the database, for ${stats.acquired} leases; ${opened} by all pools, for ${leases}
  longest wait         ${stats.wait.max.toFixed(0)} ms for a connection to the database`)
  if (outage !== undefined) {
    console.log(
      `  the restart          database killed, away for ${DOWN_MILLIS} ms;\n                       first answer ${outage.toFixed(0)} ms after it was back`,
    )
  }
  console.log(`  prices away          ${shop.withoutPrice} orders taken at the list price meanwhile, none lost`)
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') console.log(HELP)
  else await main(options)
} catch (error) {
  const { message, cause } = error as Error
  console.error(cause instanceof Error ? `${message}: ${cause.message}` : message)
  await end(1)
}
