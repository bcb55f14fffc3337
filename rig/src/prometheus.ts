import { spawnSync, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endChild, findProgram, hasEnded, removeFolder, spawnServer, tempFolder } from './child.ts'
import { NotInstalledError } from './not-installed.ts'
import { freePort, waitFor } from './wait.ts'

function find(name: string): string {
  const found = findProgram(name, ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'])
  if (found !== undefined) return found
  throw new NotInstalledError(
    `${name} is not installed; run \`node scripts/install-servers.mjs\` (root on Debian or Ubuntu), or install Prometheus with your package manager`,
  )
}

export interface PromtoolResult {
  readonly ok: boolean
  /** Everything that it said. */
  readonly output: string
}

/** Runs Prometheus' own checker, with this text as its input and these files beside it. */
export function promtool(
  args: readonly string[],
  { input, files = {} }: { input?: string; files?: Readonly<Record<string, string>> } = {},
): PromtoolResult {
  const folder = tempFolder('promtool')
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const { status, stdout, stderr } = spawnSync(find('promtool'), args, { cwd: folder, input, encoding: 'utf8' })
    return { ok: status === 0, output: stdout + stderr }
  } finally {
    removeFolder(folder)
  }
}

export interface PrometheusOptions {
  /** What is scraped, as `host:port`. */
  readonly target: string
  /** @defaultValue '/metrics' */
  readonly path?: string
  /** Files of rules, as text. @defaultValue none */
  readonly rules?: string
}

/** A real Prometheus on a free port of 127.0.0.1 that scrapes one address five times a second. */
export class PrometheusServer implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #folder: string

  constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url
    this.#child = child
    this.#folder = folder
  }

  /** The answer of its API. @throws when it refuses the question */
  async ask(path: string): Promise<unknown> {
    const answer = (await (await fetch(`${this.url}/api/v1/${path}`)).json()) as {
      status: string
      error?: string
      data: unknown
    }
    if (answer.status !== 'success') throw new Error(`Prometheus: ${answer.error ?? answer.status}: ${path}`)
    return answer.data
  }

  /** The present values of an expression, by their labels. */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: number }[]> {
    const { result } = (await this.ask(`query?query=${encodeURIComponent(expr)}`)) as {
      result: { metric: Record<string, string>; value: [number, string] }[]
    }
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  async stop(): Promise<void> {
    await endChild(this.#child, 'SIGTERM')
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export async function startPrometheus({
  target,
  path = '/metrics',
  rules,
}: PrometheusOptions): Promise<PrometheusServer> {
  const program = find('prometheus')
  const folder = tempFolder('prometheus')
  const port = await freePort()
  if (rules !== undefined) writeFileSync(join(folder, 'rules.yml'), rules)
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
  evaluation_interval: 200ms
${rules === undefined ? '' : 'rule_files: [rules.yml]\n'}scrape_configs:
  - job_name: app
    metrics_path: ${path}
    static_configs:
      - targets: ['${target}']
`,
  )
  const child = spawnServer(
    program,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { cwd: folder },
  )
  let log = ''
  const note = (text: Buffer): void => void (log += text.toString())
  child.stdout?.on('data', note)
  child.stderr?.on('data', note)
  const url = `http://127.0.0.1:${port}`
  try {
    await waitFor(async () => (await fetch(`${url}/-/ready`)).ok, {
      what: 'Prometheus is ready',
      everyMillis: 50,
      unless: () => hasEnded(child) && `Prometheus ended:\n${log}`,
    })
  } catch (error) {
    await endChild(child, 'SIGKILL')
    removeFolder(folder)
    throw error
  }
  return new PrometheusServer(url, child, folder)
}
