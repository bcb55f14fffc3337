import { Writable } from 'node:stream'
import { pino } from 'pino'
import winston from 'winston'
import { expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { FakeError, FakeFactory, ManualClock } from 'millpond/testing'
import { watchPools, type Logger } from 'millpond/watch'

/** A stream that keeps its lines. */
function sink(): { stream: Writable; lines: () => Record<string, unknown>[] } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString()
      done()
    },
  })
  const lines = (): Record<string, unknown>[] =>
    text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>) // prettier-ignore
  return { stream, lines }
}

/** Everything that pools have to say: a server that is away, and a line of statistics. */
async function log(logger: Logger): Promise<void> {
  const clock = new ManualClock()
  const registry = new PoolRegistry()
  const factory = new FakeFactory()
  const pool = registry.register(new Pool(factory, { name: 'shop', clock }))
  const watch = watchPools(registry, { logger, clock, log: { everyMillis: 60_000 } })
  factory.onCreate = () => {
    throw new FakeError('dns', 'getaddrinfo ENOTFOUND db.internal.example')
  }
  pool.acquire({ timeoutMillis: 50 }).catch(() => undefined)
  await clock.advance(100)
  await clock.advance(60_000)
  watch.close()
  await pool.close()
}

const PAUSED = {
  pool: 'shop',
  event: 'paused',
  errorCode: 'FakeError',
  text: 'pool "shop": the server cannot be reached: dns (FakeError)',
}

it('pino writes what matters, at its level, with every number as a field', async () => {
  const { stream, lines } = sink()
  await log(pino({ messageKey: 'text' }, stream).child({ module: 'pools' }))
  expect(lines().find(({ event }) => event === 'paused')).toMatchObject({ ...PAUSED, level: 50, module: 'pools' })
  expect(lines().find(({ text }) => /0 acquired/.test(String(text)))).toMatchObject({ level: 30, pool: 'shop', acquired: 0 }) // prettier-ignore
  expect(JSON.stringify(lines())).not.toContain('db.internal')
})

it('winston writes what matters, at its level, with every number as a field', async () => {
  const { stream, lines } = sink()
  const json = winston.format.json()
  await log(winston.createLogger({ format: json, transports: [new winston.transports.Stream({ stream })] }))
  const { text, ...fields } = PAUSED
  expect(lines().find(({ event }) => event === 'paused')).toMatchObject({ ...fields, level: 'error', message: text })
  expect(lines().find(({ message }) => /0 acquired/.test(String(message)))).toMatchObject({ level: 'info', pool: 'shop', acquired: 0 }) // prettier-ignore
  expect(JSON.stringify(lines())).not.toContain('db.internal')
})
