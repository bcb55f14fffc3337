import type { ManagedPool, PoolRegistry } from 'millpond'
import { serveDashboard, type AdviceView, type ServedDashboard } from 'millpond/dashboard'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { metricsHandler } from 'millpond/prometheus'
import { advise, type Advisor } from 'millpond/sizing'
import type { Pools } from './pools.ts'
import type { SideHandler } from './service.ts'

/** What an operator asks a service for: its health and its metrics. */
export function mount(registry: PoolRegistry): Readonly<Record<string, SideHandler>> {
  return {
    // What is away here is not away for long.
    health: toNodeHandler(healthHandler(registry, { details: true, cacheMillis: 500 })),
    metrics: toNodeHandler(metricsHandler(registry)),
  }
}

/** The page of the pools, with where their configuration comes from and what to say about their sizes. */
export async function show({ registry, configs }: Pools): Promise<ServedDashboard> {
  const advisors = new Map<ManagedPool, Advisor>()
  registry.follow((pool) => advisors.set(pool, advise(pool, { overAfterMillis: 60_000 })))
  return await serveDashboard(registry, {
    enabled: true,
    title: 'Millpond demo',
    settings: ({ name }) =>
      configs
        .get(name)
        ?.rows()
        .map(({ option, value, source }) => ({ name: option, value, source })),
    advice: (pool) => adviceOf(advisors.get(pool)),
  })
}

function adviceOf(advisor: Advisor | undefined): AdviceView[] {
  if (advisor === undefined) return []
  const { findings, recommended, max, samples, confidence } = advisor.advice()
  if (findings.length > 0) return findings.map(({ verdict, why }) => ({ verdict, reason: why }))
  if (samples === 0) return []
  const size = recommended === max ? 'The size is right' : `${recommended} connections would do`
  return [{ verdict: 'OK', reason: `${size} for this load (${samples} leases seen, confidence ${confidence}).` }]
}
