import { createRequire } from 'node:module'
import { context, trace, type Span } from '@opentelemetry/api'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type Pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { pgPool } from 'millpond/pg'
import { describePostgres, startServer, type TestPool } from '../support/pg.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
const instrumentation = new PgInstrumentation()
instrumentation.setTracerProvider(provider)
instrumentation.enable()
// Instrumentation hooks in where a driver is required; one that is loaded already escapes it.
const pg = createRequire(import.meta.url)('pg') as typeof Pg

const tracer = trace.getTracer('test')

/** Runs the work inside a span of its own, as a request does. */
async function inSpan<R>(name: string, work: (span: Span) => Promise<R>): Promise<R> {
  return await tracer.startActiveSpan(name, async (span) => {
    try {
      return await work(span)
    } finally {
      span.end()
    }
  })
}

const queries = (): { text: unknown; parent: string | undefined }[] =>
  exporter
    .getFinishedSpans()
    .filter(({ name }) => name.startsWith('pg.query'))
    .map(({ attributes, parentSpanContext }) => ({
      text: attributes['db.statement'] ?? attributes['db.query.text'],
      parent: parentSpanContext?.spanId,
    }))

describePostgres('spans of OpenTelemetry', () => {
  let started: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool
  beforeAll(async () => {
    started = await startServer()
  })
  afterAll(async () => {
    await started.stop()
    instrumentation.disable()
    await provider.shutdown()
    context.disable()
    trace.disable()
  })
  beforeEach(() => {
    pool = pgPool(pg, { ...started.server.config, max: 1 })
    exporter.reset()
  })
  afterEach(async () => {
    await pool.end()
  })

  it('are made for every query, below the span of whoever asked', async () => {
    const parents = await Promise.all(
      ['one', 'two', 'three'].map((name) =>
        inSpan(name, async (span) => {
          await pool.query(`SELECT '${name}'`)
          return { text: `SELECT '${name}'`, parent: span.spanContext().spanId }
        }),
      ),
    )
    expect(queries()).toEqual(expect.arrayContaining(parents))
    expect(queries()).toHaveLength(3)
  })

  it('are made on a borrowed client, in callbacks and in transactions', async () => {
    const parent = await inSpan('request', async (span) => {
      const client = await pool.connect()
      await client.query('SELECT 1')
      client.release()
      await new Promise<void>((resolve, reject) => {
        pool.connect((error, borrowed, release) => {
          if (borrowed === undefined) {
            reject(error)
            return
          }
          borrowed.query('SELECT 2', () => {
            release()
            resolve()
          })
        })
      })
      await pool.transaction((borrowed) => borrowed.query('SELECT 3'))
      return span.spanContext().spanId
    })
    const made = queries()
    expect(made.map(({ text }) => text)).toEqual(['SELECT 1', 'SELECT 2', 'BEGIN', 'SELECT 3', 'COMMIT'])
    expect(made.every((query) => query.parent === parent)).toBe(true)
  })

  it('end with the error of the query', async () => {
    await inSpan('request', async () => {
      await expect(pool.query('SELECT nothing')).rejects.toThrow('does not exist')
    })
    const [span] = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('pg.query'))
    expect(span?.status).toMatchObject({ code: 2, message: expect.stringContaining('does not exist') as string })
  })
})
