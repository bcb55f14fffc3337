import { startPostgres, ServerView, sleep, type PostgresServer } from '@millpond/rig'
import { Load, Tally } from './load.ts'
import { HELP, readOptions, type DemoOptions } from './options.ts'
import { Screen } from './screen.ts'
import { connectionPerRequest, makePool, makeTables, pooled, SCHEMA, Service, type ServicePool } from './service.ts'

interface Phase {
  readonly name: string
  /** Share of the whole time. */
  readonly share: number
  readonly clients: number
  readonly pauseMillis: number
  readonly restart?: boolean
}

const PHASES: readonly Phase[] = [
  { name: 'quiet', share: 0.2, clients: 4, pauseMillis: 20 },
  { name: 'burst', share: 0.25, clients: 100, pauseMillis: 0 },
  { name: 'restart', share: 0.3, clients: 20, pauseMillis: 10, restart: true },
  { name: 'recovered', share: 0.25, clients: 20, pauseMillis: 10 },
]

/** How long the database is away. */
const DOWN_MILLIS = 1_500
const TICK_MILLIS = 500
/** Clients of the comparison; more would run into the server's own limit without a pool. */
const COMPARED_CLIENTS = 20

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

async function main(options: DemoOptions): Promise<void> {
  const screen = new Screen(process.stdout.isTTY)
  handleSignals()
  let server: PostgresServer | undefined
  if (options.url === undefined) {
    screen.progress('Starting an embedded PostgreSQL …')
    server = await startPostgres({ settings: { max_connections: 60 } })
    const embedded = server
    undo.push(() => embedded.stop())
    screen.progress(`PostgreSQL ${server.major} on 127.0.0.1:${server.port}.`)
  }
  const url = options.url ?? server?.connectionString ?? ''
  const view = server === undefined ? undefined : new ServerView(server)
  if (view !== undefined) undo.push(() => view.close())

  const pool = makePool(url)
  undo.push(async () => {
    const report = await pool.close({ timeoutMillis: 3_000 })
    console.log(`Pool closed: ${report.closed} connections in order, ${report.forced} cut.`)
  })
  await pool.ready({ timeoutMillis: 10_000 })
  await makeTables(pool)
  if (server === undefined) undo.push(() => pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`))

  const service = new Service(pooled(pool))
  const base = await service.listen(options.port)
  undo.push(() => service.close())
  screen.progress(`The service listens on ${base} (GET /users/1, POST /orders, GET /health).`)

  view?.markLogins()
  const before = pool.stats().created
  const tally = new Tally()
  const load = new Load(base, tally)
  undo.push(() => load.stop())
  const outage = await runPhases(screen, options, pool, server, load, tally)
  await load.stop()
  const pooledLogins = view === undefined ? pool.stats().created - before : view.logins()
  await report(options, pool, tally, outage, pooledLogins, url, view)
  if (options.keep) {
    console.log(`\nThe service goes on at ${base}; Ctrl-C ends it.`)
    return
  }
  await end(0)
}

async function runPhases(
  screen: Screen,
  options: DemoOptions,
  pool: ServicePool,
  server: PostgresServer | undefined,
  load: Load,
  tally: Tally,
): Promise<number | undefined> {
  screen.begin()
  let recovery: Promise<number> | undefined
  for (const phase of PHASES) {
    load.set(phase.clients, phase.pauseMillis)
    const name = phase.restart && server === undefined ? 'steady' : phase.name
    const until = performance.now() + options.seconds * 1_000 * phase.share
    if (phase.restart && server !== undefined) recovery = restart(pool, server)
    const errorsBefore = tally.errors
    let tickedAt = performance.now()
    while (until - performance.now() > TICK_MILLIS / 4 && !isEnding) {
      await sleep(Math.min(TICK_MILLIS, until - performance.now()))
      const { count, p50, p99 } = tally.takeRecent()
      const requestsPerSecond = (count * 1_000) / (performance.now() - tickedAt)
      screen.show({
        phase: name,
        requestsPerSecond,
        p50,
        p99,
        errors: tally.errors - errorsBefore,
        stats: pool.stats(),
      })
      tickedAt = performance.now()
    }
    if (isEnding) await new Promise(() => undefined)
  }
  return await recovery
}

/** Kills the database and starts it again; tells how long after that the first query succeeded. */
async function restart(pool: ServicePool, server: PostgresServer): Promise<number> {
  await sleep(500)
  await server.kill()
  await sleep(DOWN_MILLIS)
  await server.start()
  const backAt = performance.now()
  await pool.query('SELECT 1')
  return performance.now() - backAt
}

async function report(
  options: DemoOptions,
  pool: ServicePool,
  tally: Tally,
  outage: number | undefined,
  logins: number,
  url: string,
  view: ServerView | undefined,
): Promise<void> {
  const stats = pool.stats()
  const { p50, p99 } = tally.overall()
  const errors = [...tally.errorsByKind].map(([kind, count]) => `${count} × ${kind}`).join(', ')
  console.log(`\nReport
  requests             ${tally.requests}, of which ${tally.errors} failed${errors === '' ? '' : ` (${errors})`}
  answered in          p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${tally.longestMillis.toFixed(0)} ms
  connections opened   ${logins}, for ${stats.acquired} leases
  longest wait         ${stats.wait.max.toFixed(0)} ms for a connection`)
  if (outage !== undefined) {
    console.log(
      `  the restart          database killed, away for ${DOWN_MILLIS} ms;\n                       first answer ${outage.toFixed(0)} ms after it was back`,
    )
  }
  await compare(options, pool, url, view)
}

/** The same requests, with the pool and with a connection per request, one after the other. */
async function compare(
  options: DemoOptions,
  pool: ServicePool,
  url: string,
  view: ServerView | undefined,
): Promise<void> {
  const seconds = Math.min(4, options.seconds / 5)
  console.log(`\nThe same work, ${COMPARED_CLIENTS} clients for ${seconds.toFixed(1)} s each:\n`)
  console.log(
    `  ${''.padEnd(26)}${['req/s', 'p50 ms', 'p99 ms', 'errors', 'logins'].map((head) => head.padStart(9)).join('')}`,
  )
  const measured: number[] = []
  for (const [name, database] of [
    ['with the pool', pooled(pool)],
    ['a connection per request', connectionPerRequest(url)],
  ] as const) {
    const service = new Service(database)
    const tally = new Tally()
    const load = new Load(await service.listen(0), tally)
    view?.markLogins()
    load.set(COMPARED_CLIENTS, 0)
    await sleep(seconds * 1_000)
    await load.stop()
    await service.close()
    await sleep(100)
    const { p50, p99 } = tally.overall()
    const rate = (tally.requests - tally.errors) / seconds
    measured.push(rate)
    const cells = [
      rate.toFixed(0),
      p50.toFixed(1),
      p99.toFixed(1),
      String(tally.errors),
      view === undefined ? '–' : String(view.logins()),
    ]
    console.log(`  ${name.padEnd(26)}${cells.map((cell) => cell.padStart(9)).join('')}`)
  }
  const [withPool = 0, without = 0] = measured
  if (without > 0) console.log(`\n  ${(withPool / without).toFixed(1)} times as much work with the pool.`)
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
