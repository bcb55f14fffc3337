import { context, trace, type Span } from '@opentelemetry/api'
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { MongoDBInstrumentation } from '@opentelemetry/instrumentation-mongodb'
import { MySQL2Instrumentation } from '@opentelemetry/instrumentation-mysql2'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { RedisInstrumentation } from '@opentelemetry/instrumentation-redis'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'

/*
 * OpenTelemetry's instrumentations of the drivers, on. They hook in where a file of a driver is first required: a test
 * imports this before anything that imports a driver, and requires the driver itself.
 */

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
const instrumentations = [
  new GrpcInstrumentation(),
  new IORedisInstrumentation({ requireParentSpan: true }),
  new MongoDBInstrumentation(),
  new MySQL2Instrumentation(),
  new PgInstrumentation(),
  new RedisInstrumentation({ requireParentSpan: true }),
  new UndiciInstrumentation({ requireParentforSpans: true }),
]
for (const instrumentation of instrumentations) {
  instrumentation.setTracerProvider(provider)
  instrumentation.enable()
}
const tracer = trace.getTracer('test')

/** A span of a driver. */
export interface DriverSpan {
  readonly name: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** The name of the span that it is below of. */
  readonly below: string | undefined
}

/** Runs the work inside a span of its own, as a request does. */
export async function inSpan<R>(name: string, work: (span: Span) => Promise<R>): Promise<R> {
  return await tracer.startActiveSpan(name, async (span) => {
    try {
      return await work(span)
    } finally {
      span.end()
    }
  })
}

/** The spans that the drivers' instrumentations have ended since the last {@link forgetSpans}. */
export function driverSpans(): DriverSpan[] {
  const spans = exporter.getFinishedSpans()
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]))
  return spans
    .filter(({ instrumentationScope }) => instrumentationScope.name !== 'test')
    .map(({ name, attributes, parentSpanContext }) => ({
      name,
      attributes,
      below: names.get(parentSpanContext?.spanId ?? ''),
    }))
}

export function forgetSpans(): void {
  exporter.reset()
}

export async function stopTracing(): Promise<void> {
  for (const instrumentation of instrumentations) instrumentation.disable()
  await provider.shutdown()
  context.disable()
  trace.disable()
}
