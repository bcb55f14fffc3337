import { systemClock, type Clock } from '../core/clock.ts'
import { HealthMonitor, type HealthMonitorOptions, type HealthRegistry } from './monitor.ts'
import { toRequest, type NodeRequest, type WebHandler } from './node-handler.ts'

/** Minimum of a Koa context. */
export interface KoaContext {
  readonly req: NodeRequest
  status: number
  body: unknown
  set(name: string, value: string): unknown
}

/** The handler as a middleware of Koa. It answers every request that reaches it; mount it on a path. */
export function toKoa(handler: WebHandler): (context: KoaContext) => Promise<void> {
  return async (context) => {
    const answer = await handler(toRequest(context.req))
    context.status = answer.status
    context.body = await answer.text()
    answer.headers.forEach((value, name) => context.set(name, value))
  }
}

/** Minimum of a reply of Fastify. */
export interface FastifyReplyLike {
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(body: string): unknown
}

/** Minimum of a Fastify instance. */
export interface FastifyLike {
  // Fastify's own type of a route is generic over the whole server; a path and a handler are all that is used.
  get(path: string, handler: (request: { readonly raw: NodeRequest }, reply: FastifyReplyLike) => unknown): unknown
}

/**
 * The handler as a plugin of Fastify, for the paths that its prefix and `paths` give:
 * `app.register(toFastify(healthHandler(registry)), { prefix: '/health' })`.
 */
export function toFastify(
  handler: WebHandler,
  paths: readonly string[] = ['/', '/live', '/ready', '/startup'],
): (fastify: FastifyLike) => Promise<void> {
  return (fastify) => {
    for (const path of paths) {
      fastify.get(path, async ({ raw }, reply) => {
        const answer = await handler(toRequest(raw))
        reply.code(answer.status)
        answer.headers.forEach((value, name) => reply.header(name, value))
        return reply.send(await answer.text())
      })
    }
    return Promise.resolve()
  }
}

/** What an indicator of `@nestjs/terminus` gives. */
export type TerminusResult = Readonly<
  Record<string, { readonly status: 'up' | 'down' | 'degraded'; readonly message: string }>
>

/**
 * An indicator for the `HealthCheckService` of `@nestjs/terminus`:
 * `health.check([terminusIndicator(registry)])`. `degraded` needs its version 12; older ones take it for up.
 */
export function terminusIndicator(
  registry: HealthRegistry,
  { key = 'pools', ...options }: HealthMonitorOptions & { key?: string } = {},
): () => Promise<TerminusResult> {
  const monitor = new HealthMonitor(registry, options)
  return async () => {
    const { status, message } = await monitor.check('readiness')
    return { [key]: { status: ({ pass: 'up', warn: 'degraded', fail: 'down' } as const)[status], message } }
  }
}

/** Minimum of a `HealthImplementation` of `grpc-health-check`. */
export interface GrpcHealth {
  setStatus(service: string, status: 'SERVING' | 'NOT_SERVING'): void
}

export interface GrpcHealthOptions extends HealthMonitorOptions {
  /** The services whose status follows the registry's readiness; `''` is the server as a whole. @defaultValue [''] */
  services?: readonly string[] | undefined
  /** How often the pools are checked, in milliseconds. @defaultValue 5_000 */
  everyMillis?: number | undefined
}

/**
 * Keeps the statuses of `grpc.health.v1` up to date with the registry's readiness, for those who check and those who
 * watch. Resolves, after a first check, with a function that ends it.
 */
export async function followGrpcHealth(
  registry: HealthRegistry,
  health: GrpcHealth,
  { services = [''], everyMillis = 5_000, ...options }: GrpcHealthOptions = {},
): Promise<() => void> {
  const clock: Clock = options.clock ?? systemClock
  const monitor = new HealthMonitor(registry, { cacheMillis: 0, ...options })
  let timer: ReturnType<Clock['setTimer']> | undefined
  let ended = false
  const update = async (): Promise<void> => {
    const { status } = await monitor.check('readiness')
    // Called by a timer of the clock: this must not end before it was ended.
    if (ended) return
    for (const service of services) health.setStatus(service, status === 'fail' ? 'NOT_SERVING' : 'SERVING')
    timer = clock.setTimer(() => void update(), everyMillis)
    timer.unref()
  }
  await update()
  return () => {
    ended = true
    timer?.cancel()
  }
}
