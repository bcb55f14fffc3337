import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { program } from './program.ts'

type Service = 'mysql' | 'redis' | 'mongoose'
/** On the driver's own connections, on ours, or on ours with a registry that hears the signals. */
type How = 'driver' | 'ours' | 'registry'

let built: Promise<string> | undefined

/** Runs the service of `guide-program.ts` in a process of its own, and sends that a real signal once it has worked. */
async function runUntil(signal: NodeJS.Signals, service: Service, how: How, url: string) {
  built ??= program('guide-program')
  const child = spawn(process.execPath, [await built, service, how, url], {
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  let output = ''
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => {
    const wasReady = output.includes('ready\n')
    output += chunk.toString()
    if (!wasReady && output.includes('ready\n')) child.kill(signal)
  })
  const [code, endedBy] = (await ended) as [number | null, NodeJS.Signals | null]
  return { code, endedBy, lines: output.trim().split('\n'), errors }
}

/** The same program on the driver and on ours works and ends alike; a registry lets what runs come to its end first. */
export async function expectSameProgram(service: Service, url: string, answer: unknown): Promise<void> {
  const [driver, ours, registry] = await Promise.all([
    runUntil('SIGINT', service, 'driver', url),
    runUntil('SIGINT', service, 'ours', url),
    runUntil('SIGTERM', service, 'registry', url),
  ])
  const worked = [JSON.stringify(answer), 'ready']
  expect(driver).toEqual({ code: 0, endedBy: null, lines: worked, errors: '' })
  expect(ours).toEqual(driver)
  expect(registry).toEqual({ code: 143, endedBy: null, lines: [...worked, 'what ran has ended'], errors: '' })
}
