import type { PoolRegistry } from 'millpond'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'
import type { SideHandler } from './service.ts'

/** What an operator asks a service for: its health and its metrics. */
export function mount(registry: PoolRegistry): Readonly<Record<string, SideHandler>> {
  return {
    health: toNodeHandler(healthHandler(registry)),
    metrics: toNodeHandler(metricsHandler(registry)),
  }
}
