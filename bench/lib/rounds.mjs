import { spawn } from 'node:child_process'
import { cpus, loadavg } from 'node:os'

/**
 * Runs every subject once a round, each in a process of its own, one at a time, beginning with another one in every
 * round: what the machine does besides hits all of them alike, and ratios are taken within a round.
 *
 * @param {{ subjects: string[], rounds: number, program: string, args: (subject: string) => string[], timeoutMillis?: number }} plan
 * @returns {Promise<Record<string, object>[]>} for each round, what each subject's process printed, as JSON
 */
export async function runRounds({ subjects, rounds, program, args, timeoutMillis = 120_000 }) {
  const results = []
  for (let round = 0; round < rounds; round++) {
    const first = round % subjects.length
    const order = [...subjects.slice(first), ...subjects.slice(0, first)]
    const result = {}
    for (const subject of order) result[subject] = await runChild(program, args(subject), timeoutMillis)
    results.push(result)
    process.stderr.write(`round ${round + 1} of ${rounds}\n`)
  }
  return results
}

/** Runs a program that writes one JSON text, and gives what it wrote. */
export function runChild(program, args, timeoutMillis) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--expose-gc', program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMillis)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve(JSON.parse(text))
      else reject(new Error(`${args.join(' ')} ended with ${signal ?? code}`))
    })
  })
}

/** Where and when, for the raw results. */
export function circumstances() {
  return {
    date: new Date().toISOString(),
    node: process.version,
    cores: cpus().length,
    cpu: cpus()[0]?.model,
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
  }
}
