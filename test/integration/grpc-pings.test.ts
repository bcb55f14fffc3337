import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { startCoreGrpc, tryStart } from '@millpond/rig'
import { closePools, poolOn, warningsOf } from '../support/grpc.ts'

const server = await tryStart('gRPC in Python (Debian: python3-grpcio)', startCoreGrpc)
afterEach(async () => {
  await closePools()
})
afterAll(async () => {
  await server?.stop()
})

describe.skipIf(server === undefined)('a server that allows few pings', () => {
  const target = { target: `127.0.0.1:${server?.port}` }
  const outcomeOf = (pool: ReturnType<typeof poolOn>): Promise<unknown> =>
    pool.promises.unary({ sleepMillis: 500 }).then(
      () => 'well',
      ({ code, details }: { code: number; details: string }) => `${code} ${details}`,
    )

  it('is warned of, and pinged half as often by every channel after a goodbye (too_many_pings), until calls live', async () => {
    const outcomes: unknown[] = []
    const warnings = await warningsOf(async () => {
      const pool = poolOn(target, { max: 1, 'grpc.keepalive_time_ms': 30 })
      while (outcomes.at(-1) !== 'well' && outcomes.length < 12) outcomes.push(await outcomeOf(pool))
      // As many channels as calls that were cut, each of which ended its own.
      expect(pool.stats()).toMatchObject({ leases: 0, created: outcomes.length })
    })
    expect(warnings).toContainEqual(expect.stringContaining('`grpc.keepalive_time_ms: 30` pings more often than gRPC'))
    // At 30, 60 and 120 ms more than two pings fall into 500 ms; each of these calls is told of it.
    const failed = outcomes.slice(0, -1)
    expect(failed.length).toBeGreaterThanOrEqual(1)
    for (const outcome of failed) expect(outcome).toMatch(/^8 Bandwidth exhausted/)
    expect(outcomes.at(-1)).toBe('well')
  })

  it('has nothing against the pings that are the default', async () => {
    const pool = poolOn(target, { max: 1 })
    expect(await outcomeOf(pool)).toBe('well')
    expect(pool.stats()).toMatchObject({ created: 1, total: 1 })
  })
})
