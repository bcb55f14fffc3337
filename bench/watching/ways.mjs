// The ways of being watched. Each begins to watch, and gives back what is done at the end, and how to stop.
import { spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as api from '@opentelemetry/api'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics' // prettier-ignore
import { serveDashboard } from '../../dist/dashboard/index.js'
import { durationProducer, instrument } from '../../dist/monitoring/opentelemetry/index.js'
import { renderPrometheus } from '../../dist/monitoring/prometheus/index.js'
import { watchPools } from '../../dist/monitoring/watch/index.js'

const NOTHING = { once: () => undefined, stop: () => undefined }

/** `watchPools` alone: events that matter, a history, slow operations with their trace, a line now and then. */
function findings(registry) {
  const watch = watchPools(registry, { logger: () => undefined, log: { everyMillis: 60_000 }, openTelemetry: api })
  return { once: () => undefined, stop: () => watch.close() }
}

/** A scrape of Prometheus. */
function prometheus(registry) {
  return { once: () => renderPrometheus(registry), stop: () => undefined }
}

/** OpenTelemetry's metrics and traces of long waits, and a collection; durations one by one, or from a producer. */
function openTelemetry(registry, durations = true) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const metricProducers = durations ? [] : [durationProducer(registry)]
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000, metricProducers })
  const meterProvider = new MeterProvider({ readers: [reader] })
  const end = instrument(registry, { api, meterProvider, durations })
  return {
    once: () => reader.collect(),
    stop: async () => {
      end()
      await meterProvider.shutdown()
    },
  }
}

const producer = (registry) => openTelemetry(registry, false)

/** Somebody who wants to hear of every single acquire and release. */
function channels() {
  const hear = () => undefined
  const names = ['acquireStarted', 'acquired', 'released', 'created', 'destroyed'].map((event) => `millpond:${event}`)
  for (const name of names) diagnostics.subscribe(name, hear)
  return {
    once: () => undefined,
    stop: () => {
      for (const name of names) diagnostics.unsubscribe(name, hear)
    },
  }
}

let viewer
/** The dashboard, with somebody who looks at it. */
async function dashboard(registry) {
  viewer ??= spawn(process.execPath, [fileURLToPath(new URL('viewer.mjs', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // A piece of a round is over in a third of a second; in life the page moves once a second.
  const served = await serveDashboard(registry, { intervalMillis: 250 })
  viewer.stdin.write(`${served.url}\n`)
  await once(viewer.stdout, 'data')
  return {
    once: () => undefined,
    stop: async () => {
      viewer.stdin.write('\n')
      await served.close()
    },
  }
}

function together(...ways) {
  return async (registry) => {
    const begun = []
    for (const way of ways) begun.push(await way(registry))
    return {
      once: async () => {
        for (const each of begun) await each.once()
      },
      stop: async () => {
        for (const each of begun) await each.stop()
      },
    }
  }
}

/** @type {Record<string, (registry) => { once(): unknown, stop(): unknown } | Promise<{ once(): unknown, stop(): unknown }>>} */
export const WAYS = {
  nothing: () => NOTHING,
  findings,
  prometheus,
  openTelemetry,
  producer,
  channels,
  dashboard,
  everything: together(findings, prometheus, producer, channels, dashboard),
}

/** The viewer has nothing more to see. */
export function endWays() {
  viewer?.kill()
}
