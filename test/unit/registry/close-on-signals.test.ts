import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Pool, PoolRegistry, type ProcessLike } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'

class FakeProcess extends EventEmitter {
  exitCode: number | undefined
  readonly exits: (number | undefined)[] = []
  exit(code?: number): void {
    this.exits.push(code)
  }
}

function setUp(options: object = {}): {
  clock: ManualClock
  target: FakeProcess
  registry: PoolRegistry
  pool: Pool<unknown>
  undo: () => void
} {
  const clock = new ManualClock()
  const target = new FakeProcess()
  const registry = new PoolRegistry()
  const pool = registry.register(new Pool(new FakeFactory(), { clock }))
  const undo = registry.closeOnSignals({ clock, process: target as unknown as ProcessLike, ...options })
  return { clock, target, registry, pool, undo }
}

describe('closing on signals', () => {
  it('fails readiness at once, waits, stops the server, drains, and exits with the signal’s code', async () => {
    const order: string[] = []
    const { clock, target, registry, pool } = setUp({
      readinessDelayMillis: 5_000,
      before: () => order.push(`before, pool is ${pool.state}`),
    })
    const lease = await pool.acquire()
    target.emit('SIGTERM')
    expect((await registry.health()).message).toBe('Shutting down')
    await clock.advance(4_999)
    expect(order).toEqual([])
    await clock.advance(1)
    expect(order).toEqual(['before, pool is open'])
    expect(pool.state).toBe('closing')
    expect(target.exits).toEqual([])
    lease.release()
    await clock.settle()
    expect(pool.state).toBe('closed')
    expect(target.exits).toEqual([143])
  })

  it('keeps an exit code that is set', async () => {
    const { clock, target } = setUp()
    target.exitCode = 3
    target.emit('SIGINT')
    await clock.settle()
    expect(target.exits).toEqual([3])
  })

  it('exits at its deadline although a lease never comes back and `before` hangs', async () => {
    const { clock, target, pool } = setUp({ timeoutMillis: 8_000, before: () => new Promise(() => undefined) })
    await pool.acquire()
    target.emit('SIGTERM')
    await clock.advance(7_000)
    expect(target.exits).toEqual([])
    await clock.advance(2_000)
    expect(target.exits).toEqual([143])
  })

  it('ends at once on a second signal', async () => {
    const { clock, target, pool } = setUp()
    await pool.acquire()
    target.emit('SIGTERM')
    await clock.settle()
    target.emit('SIGINT')
    expect(target.exits).toEqual([130])
  })

  it('can be undone', () => {
    const { target, undo } = setUp()
    undo()
    expect(target.listenerCount('SIGTERM') + target.listenerCount('SIGINT')).toBe(0)
  })
})
