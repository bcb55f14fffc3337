// The page docs/guide/anti-patterns.md, with outputs that are those of the programs themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Linter } from 'eslint'
import { plugin } from 'eslint-plugin-millpond'
import { Pool, PoolRegistry } from 'millpond'
import { size } from 'millpond/sizing'
import { FakeFactory, ManualClock } from 'millpond/testing'
import { judge } from '../src/doctor/servers.ts'
import { prettyReport } from '../src/reports/pretty.ts'
import { millpond } from './run.ts'

interface AntiPattern {
  readonly title: string
  readonly why: string
  readonly wrong: string
  readonly right: string
  readonly rule: string
  /** What says so at run time, and what it says. */
  readonly runTime: { readonly what: string; said(): Promise<string> }
  /** What the doctor finds besides, when it may ask the server. */
  readonly server?: () => string
}

const messageOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  throw new Error('it was to throw')
}

/** A pool on a clock that stands, all of whose resources are pretended. */
function pretended(options: object): { pool: Pool<unknown>; clock: ManualClock } {
  const clock = new ManualClock()
  return {
    clock,
    pool: new Pool(new FakeFactory(), {
      clock,
      random: () => 0.5,
      name: 'orders',
      ...options,
    }),
  }
}

async function timedOut(options: object, holders: number): Promise<string> {
  const { pool, clock } = pretended(options)
  const leases = []
  for (let n = 0; n < holders; n++) leases.push(await pool.acquire({ label: 'GET /orders/:id' }))
  const waiting = pool.acquire().then(() => 'a lease', (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`) // prettier-ignore
  await clock.advance(5_000)
  const said = await waiting
  for (const lease of leases) lease.release()
  await pool.close()
  return said
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
      what: 'Pools have names, and a registry takes each name once: the second request fails in development, not the server in production.',
      said: async () => {
        const registry = new PoolRegistry()
        const perRequest = (): unknown => registry.register(pretended({}).pool as never)
        perRequest()
        const said = messageOf(perRequest)
        await registry.close()
        return said
      },
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
      what: 'Who waits in vain is told who holds the connections, and since when. With `leakThresholdMillis`, the `leak` event says where each was acquired, long before the pool is empty.',
      said: () => timedOut({ max: 2 }, 2),
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
      what: '`size()` of `millpond/sizing` computes from what is known; `advise(pool)` measures the running pool, and says `OVER` or `BUDGET` with the numbers.',
      said: () => {
        const { max, min, decidedBy, reasons } = size({
          cores: 4,
          ratePerSecond: 400,
          useMillis: 20,
          instances: 4,
          serverLimit: 100,
        })
        const lines = reasons.map(
          ({ name, why, perInstance }) => `  ${name.padEnd(13)} ${String(perInstance).padStart(3)}  ${why}`,
        )
        return Promise.resolve([`max ${max}, min ${min}, decided by ${decidedBy}`, ...lines].join('\n'))
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
      what: 'A pool of Millpond has a deadline of 5 s unless it is told otherwise, and says why it was missed.',
      said: () => timedOut({ max: 1 }, 1),
    },
  },
]

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
    const first = said.split('\n')[0] ?? ''
    const code = first.startsWith('PoolError') || /^\w+Error: /.test(first) ? first.slice(0, first.indexOf(':')) : first
    rows.push(
      `| [${title}](#${anchor}) | \`millpond/${rule}\` | \`${rule}\`${server === undefined ? '' : ', `fleet-exceeds-server`'} | \`${code}\` |`,
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

Releases that happen twice, transactions on the pool, responses that nobody reads, options that a driver ignores, closing on
SIGINT only: the table of rules is in the [README of the plugin](../../packages/eslint-plugin/README.md), what only the doctor finds
in [its page of findings](../../packages/cli/docs/findings.md).
`
}
