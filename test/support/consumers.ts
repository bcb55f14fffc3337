import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { poolOn, startServer, type TestPool } from './pg.ts'

/** What the tests of one library share; filled anew before each of them. */
export interface ConsumerRig {
  server: Awaited<ReturnType<typeof startServer>>['server']
  view: Awaited<ReturnType<typeof startServer>>['view']
  pool: TestPool
  /** The backends that the library's transaction ran on. */
  readonly pids: Set<number>
  /** What the transaction fails with. */
  readonly reason: Error
  /** No row is left of the transaction, one backend has done it all, and nothing is lent any more. */
  nothingIsLeft(): Promise<void>
}

/**
 * A server with a table `items`, and before each test a pool of four. After each test the library must hold nothing;
 * a library that leaves the pool open has it closed.
 */
export function consumerRig(): ConsumerRig {
  let stop: () => Promise<void>
  const rig: ConsumerRig = {
    server: undefined as never,
    view: undefined as never,
    pool: undefined as never,
    pids: new Set(),
    reason: new Error('roll back'),
    async nothingIsLeft() {
      const check = poolOn(rig.server)
      const { rows } = await check.query('SELECT * FROM items')
      await check.end()
      expect(rows).toEqual([])
      expect(rig.pids.size).toBe(1)
      expect(rig.pids).not.toContain(0)
    },
  }
  beforeAll(async () => {
    const started = await startServer()
    Object.assign(rig, { server: started.server, view: started.view })
    stop = () => started.stop()
    const setup = poolOn(rig.server)
    await setup.query('CREATE TABLE items (id int PRIMARY KEY, name text)')
    await setup.end()
  })
  afterAll(async () => {
    await stop()
  })
  beforeEach(() => {
    rig.pids.clear()
    rig.pool = poolOn(rig.server, { max: 4, name: 'consumer' })
  })
  afterEach(async () => {
    expect(rig.pool.stats().used).toBe(0)
    if (!rig.pool.ended) await rig.pool.close({ timeoutMillis: 500 })
  })
  return rig
}
