// The page docs/guide/anti-patterns.md, with outputs that are those of the programs themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Linter } from 'eslint'
import { plugin } from 'eslint-plugin-millpond'
import { startPostgres } from '@millpond/rig'
import { Pool } from 'millpond'
import { pgPool } from 'millpond/pg'
import { FakeFactory, ManualClock } from 'millpond/testing'
import pg from 'pg'
import { judge } from '../src/doctor/servers.ts'
import { prettyReport } from '../src/reports/pretty.ts'
import { millpond } from './run.ts'

interface AntiPattern {
  readonly title: string
  readonly why: string
  readonly wrong: string
  readonly right: string
  readonly rule: string
  /** What says so at run time, under which name, and what it says. */
  readonly runTime: { readonly what: string; readonly code: string; said(): Promise<string> }
  /** What the doctor finds besides, when it may ask the server. */
  readonly server?: () => string
}

/** What the process is warned of meanwhile, as Node prints it; this process is a test, in which pools warn of nothing. */
async function warnedOf(run: () => Promise<void>): Promise<string> {
  const said: string[] = []
  const listen = (warning: Error & { code?: string }): void => {
    if (warning.name === 'MillpondWarning') said.push(`[${warning.code ?? ''}] ${warning.name}: ${warning.message}`)
  }
  const profile = process.env['MILLPOND_PROFILE']
  // Told once in a process: also where this test runs a second time.
  const known = (globalThis as Record<symbol, unknown>)[Symbol.for('millpond.openPools')]
  ;(known as { told: Set<string> } | undefined)?.told.clear()
  process.env['MILLPOND_PROFILE'] = 'production'
  process.on('warning', listen)
  try {
    await run()
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('warning', listen)
    if (profile === undefined) delete process.env['MILLPOND_PROFILE']
    else process.env['MILLPOND_PROFILE'] = profile
  }
  return said.join('\n')
}

/** A borrower that never gives back, and whoever comes after it: on a clock that stands, with pretended connections. */
async function leaked(): Promise<string> {
  const clock = new ManualClock()
  const factory = Object.assign(new FakeFactory(), { kind: 'postgres' })
  const pool = new Pool(factory, { clock, random: () => 0.5, name: 'orders', max: 2, leakThresholdMillis: 30_000 })
  const said: string[] = []
  pool.on('leak', ({ label, heldMillis }) => {
    if (said.length === 0) said.push(`leak: "${label ?? ''}" holds a connection for ${heldMillis} ms`)
  })
  const leases = [await pool.acquire({ label: 'GET /orders/:id' }), await pool.acquire({ label: 'GET /orders/:id' })]
  await clock.advance(60_000)
  const waiting = pool
    .acquire()
    .then(String, (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`)
  await clock.advance(5_000)
  said.push(await waiting)
  for (const lease of leases) lease.destroy()
  await pool.close()
  // Where this test is stands for where a program is.
  return said.join('\n').replace(/acquired at [^;]*/, 'acquired at src/orders.js:4:31')
}

const ANTI_PATTERNS: readonly AntiPattern[] = [
  {
    title: 'A client or a pool per request',
    why: 'A handshake, a login and a process on the server for each request; under load the server runs out of connections long before it runs out of work.',
    wrong: `import { Client } from 'pg'

app.get('/users/:id', async (req, res) => {
  const client = new Client({})
  client.on('error', report)
  await client.connect()
  const user = await client.query('SELECT * FROM users WHERE id = $1', [req.params.id])
  await client.end()
  res.json(user.rows[0])
})
`,
    right: `app.get('/users/:id', async (req, res) => {
  const user = await pool.query('SELECT * FROM users WHERE id = $1', [req.params.id])
  res.json(user.rows[0])
})
`,
    rule: 'no-client-per-request',
    runTime: {
      what: 'A `Client` of pg is nobody’s pool, and nobody sees it. Pools of Millpond are counted by their target: the third that is open for one is warned of, once.',
      code: 'MILLPOND_POOL_PER_REQUEST',
      said: () =>
        warnedOf(async () => {
          const request = () => pgPool(pg, { name: 'orders', connectionString: 'postgres://app:secret@db/shop' })
          const pools = [request(), request(), request()]
          await Promise.all(pools.map((pool) => pool.close()))
        }),
    },
  },
  {
    title: 'A connection that is not given back',
    why: 'The pool is one connection smaller each time, until it is empty and every caller waits.',
    wrong: `import { pool } from './db.js'

app.get('/orders/:id', async (req, res) => {
  const client = await pool.connect()
  const order = await client.query('SELECT * FROM orders WHERE id = $1', [req.params.id])
  res.json(order.rows[0])
})
`,
    right: `app.get('/orders/:id', async (req, res) => {
  const client = await pool.connect()
  try {
    const order = await client.query('SELECT * FROM orders WHERE id = $1', [req.params.id])
    res.json(order.rows[0])
  } finally {
    client.release()
  }
})
`,
    rule: 'require-release',
    runTime: {
      what: 'With `leakThresholdMillis`, the `leak` event has label and stack of the acquire, long before the pool is empty. Without it, who waits in vain is told who holds the connections, and since when.',
      code: 'leak',
      said: leaked,
    },
  },
  {
    title: 'A pool that is too large',
    why: 'A database works on a few statements per core at once. More connections only wait inside of the server, each with its memory, and every replica takes as many again.',
    wrong: `import pg from 'pg'

export const pool = new pg.Pool({ max: 1000, min: 500, connectionTimeoutMillis: 2000 })
pool.on('error', report)
`,
    right: `export const pool = new pg.Pool({ max: 20, min: 5, connectionTimeoutMillis: 2000 })
`,
    rule: 'no-oversized-pool',
    server: () => {
      const target = { kind: 'postgres', url: 'postgres://db/shop', shown: 'postgres://db/shop' } as const
      const facts = {
        version: 'PostgreSQL 18', connectMillis: 1, pingMillis: 1, limit: 97, limitNote: 'max_connections 100, of which 3 are reserved',
        used: 12, idleLimitMillis: Infinity, idleLimitName: 'idle_session_timeout', tls: true,
      } // prettier-ignore
      const pools = [
        { file: 'src/pool.js', driver: 'pg', role: 'pool', line: 3, column: 21, max: 1000, options: {} },
      ] as const
      const findings = judge(target, facts, {
        pools,
        instances: 4,
        instancesNote: 'k8s/deployment.yaml:6',
        natTimeoutMillis: Infinity,
      })
      return pretty(
        findings.map(({ id, severity, message, mend }) => ({
          id,
          severity,
          message,
          ...(mend === undefined ? {} : { mend }),
        })),
        '/nowhere',
      )
    },
    runTime: {
      what: 'At its first connection the pool asks PostgreSQL what it has left. `size()` of [`millpond/sizing`](sizing.md) says what would be right; `advise(pool)` measures it, and says `OVER` or `BUDGET`.',
      code: 'MILLPOND_MAX_ABOVE_SERVER',
      said: async () => {
        await using server = await startPostgres()
        return await warnedOf(async () => {
          const pool = pgPool(pg, { ...server.config, name: 'orders', max: 1000 })
          await pool.query('SELECT 1')
          await pool.close()
        })
      },
    },
  },
  {
    title: 'No deadline for those who wait',
    why: 'When the pool is empty or the server silent, callers pile up without end, each with its request and its memory.',
    wrong: `import pg from 'pg'

export const pool = new pg.Pool({ max: 20 })
pool.on('error', report)
`,
    right: `export const pool = new pg.Pool({ max: 20, connectionTimeoutMillis: 2000 })
`,
    rule: 'require-connection-timeout',
    runTime: {
      what: 'A pool of Millpond has deadlines, for waiting and for connecting, unless it is told otherwise. One that is told to have none is warned of, once.',
      code: 'MILLPOND_NO_DEADLINE',
      said: () =>
        warnedOf(async () => {
          const forEver = { connectionTimeoutMillis: 0, createTimeoutMillis: Infinity }
          await pgPool(pg, { name: 'orders', max: 20, ...forEver }).close()
        }),
    },
  },
]

/** Mistakes that common guides teach, and some that they only forget to warn of. */
export const OTHERS: readonly (readonly [mistake: string, rule: string, runTime: string])[] = [
  ['`utilization > 80` on a text that ends in `%`: the alarm never rings', 'no-percent-comparison', '`stats().utilization` is a number from 0 to 1'],
  ['`redisOptions` given twice: the first is dropped', 'no-duplicate-options', '–'],
  ['statistics from private fields of a driver', 'no-private-driver-fields', '`stats()`; `observe(pool)` for pools that are not ours'],
  ['a health check that loses its client when the query fails', 'require-release', '`health()` gives back, and never queues'],
  ['a `ROLLBACK` that fails, and hides the error before it', 'no-masking-rollback', '`transaction(fn)` throws the first error'],
  ['closing on SIGINT only', 'require-sigterm', '`closeOnSignals()` hears both'],
  ['options that the driver ignores', 'no-ignored-options', 'near-misses of names are refused'],
  ['`release()` twice', 'no-double-release', '`ERR_POOL_LEASE_RELEASED`'],
  ['the pool used inside of its own transaction', 'no-pool-in-transaction', 'event `nested`; `ERR_POOL_DEADLOCK` with `nested: \'throw\'`'],
  ['`pool.query(\'BEGIN\')`', 'no-transaction-on-pool', 'rolled back at the release'],
  ['a request to somebody else while a connection is held', 'no-await-in-held-connection', 'event `longLease`; `LEASE_WASTE` of `advise(pool)`'],
  ['a blocking command on a shared connection to Redis', 'no-shared-blocking-redis', '`redisPool` sends it on a connection of its own'],
  ['a response whose body nobody reads', 'no-unread-body', '`httpPool` finds it, and frees the connection'],
  ['no listener for `error`', 'require-error-listener', 'a pool of Millpond never ends the process'],
  ['`process.exit()` before the pools are closed', 'no-exit-before-close', '`MILLPOND_EXIT_WITH_LEASES`'],
] // prettier-ignore

const pretty = (findings: readonly object[], root: string): string =>
  prettyReport(
    { root, findings: findings as never, pools: [], files: 1, fixed: [], asked: [], unreachable: 0 },
    { cwd: '', env: {}, out: () => undefined, err: () => undefined, color: false, width: 100, progress: false },
  )
    .split('\n')
    .slice(2)
    .join('\n')
    .replace(/\n\d+ errors?[\s\S]*$/, '')
    .trimEnd()

function lintOutput(code: string, rule: string): string {
  return new Linter()
    .verify(code, plugin.configs.recommended, { filename: 'app.js' })
    .filter(({ ruleId }) => ruleId === `millpond/${rule}`)
    .map(({ line, column, message, ruleId }) => `${line}:${column}  error  ${message}  ${ruleId ?? ''}`)
    .join('\n')
}

async function doctorOutput(code: string, rule: string): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'millpond-anti-'))
  try {
    writeFileSync(join(root, 'app.js'), code)
    const { out } = await millpond(['doctor', '--root', root, '--json'])
    const { findings } = JSON.parse(out) as { findings: { id: string }[] }
    return pretty(
      findings.filter(({ id }) => id === rule),
      root,
    )
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const fence = (text: string, language = ''): string => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``

/** The page, from what the linter, the doctor and the library say today. */
export async function antiPatternsPage(): Promise<string> {
  const sections: string[] = []
  const rows: string[] = []
  for (const { title, why, wrong, right, rule, runTime, server } of ANTI_PATTERNS) {
    const anchor = title.toLowerCase().replaceAll(' ', '-')
    const [said, linted, examined] = [await runTime.said(), lintOutput(wrong, rule), await doctorOutput(wrong, rule)]
    rows.push(
      `| [${title}](#${anchor}) | \`millpond/${rule}\` | \`${rule}\`${server === undefined ? '' : ', `fleet-exceeds-server`'} | \`${runTime.code}\` |`,
    )
    sections.push(
      [
        `## ${title}`,
        why,
        fence(wrong, 'js'),
        'The linter:',
        fence(linted),
        '`millpond doctor`:',
        fence(examined),
        ...(server === undefined
          ? []
          : [
              '`millpond doctor --connect`, with a server that grants 100 connections to four replicas:',
              fence(server()),
            ]),
        `At run time: ${runTime.what}`,
        fence(said),
        'Instead:',
        fence(right, 'js'),
      ].join('\n\n'),
    )
  }
  return `# Anti-patterns, and who finds them

Four mistakes around connection pools, each found three times: while it is written, by the [linter](../../packages/eslint-plugin/README.md);
before it is shipped, by [\`millpond doctor\`](../../packages/cli/README.md); and while it runs, by the library. What they say below is what
they say: a test compares this page with their output.

| mistake | linter | doctor | at run time |
| --- | --- | --- | --- |
${rows.join('\n')}

${sections.join('\n\n')}

## The others

| mistake | linter and doctor | at run time |
| --- | --- | --- |
${OTHERS.map(([mistake, rule, runTime]) => `| ${mistake} | [\`${rule}\`](../../packages/eslint-plugin/docs/rules/${rule}.md) | ${runTime} |`).join('\n')}

All rules stand in the [README of the plugin](../../packages/eslint-plugin/README.md), what only the doctor finds in
[its page of findings](../../packages/cli/docs/findings.md), the warnings at run time under [Sizing](sizing.md#warnings-at-run-time).
`
}
