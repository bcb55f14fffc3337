import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CloseOptions, CloseReport, PoolStats } from 'millpond'
import { systemClock } from '../../../src/core/clock.ts'
import { ForeignPool, type Verdict } from '../../../src/core/foreign-pool.ts'
import { Ledger } from '../../../src/core/ledger.ts'

const ENDED = { closed: 2, forced: 1, pendingCreates: 0, rejected: 3, holders: [] }

/** A view of a pool that is only pretended, whose owner answers as a test says. */
class View extends ForeignPool {
  readonly ledger = new Ledger()
  openState: 'open' | 'paused' = 'open'
  onCheck: (timeoutMillis: number) => Verdict | Promise<Verdict> = () => ['pass', 'Pool is healthy']
  onEnd: (options: CloseOptions) => Promise<typeof ENDED> = () => Promise.resolve(ENDED)

  constructor() {
    super('orders', 'foreign')
  }

  stats(): PoolStats {
    const { name, kind, state } = this
    return this.ledger.snapshot({ name, kind, state, min: 0, max: 4, generation: 0 })
  }

  detach(): void {
    // Nothing is attached.
  }

  protected check(timeoutMillis: number): Verdict | Promise<Verdict> {
    return this.onCheck(timeoutMillis)
  }

  protected end(options: CloseOptions): Promise<typeof ENDED> {
    return this.onEnd(options)
  }

  ownersClose(closed: number): void {
    this.ownerClosed(closed)
  }

  hears(event: 'closed' | 'created'): boolean {
    return this.heard(event)
  }

  tellCreated(resourceId: number): void {
    this.tell('created', { pool: this.name, resourceId, generation: 0, durationMillis: 1 })
  }

  warnOfDeadlines(target?: string): void {
    const options = { acquireTimeoutMillis: Infinity, createTimeoutMillis: Infinity, maxUseMillis: Infinity }
    this.lookForMistakes({ factory: { target }, options, deadlineMend: '`waitFor`' })
  }

  warnOfRoom(max: number, usable: number, free: number): Promise<void> {
    return this.lookForRoom(max, 'max_connections', () => Promise.resolve({ usable, free }))
  }
}

describe('a view of a pool that somebody else runs', () => {
  it('is in the state that its owner says, until it closes', async () => {
    const view = new View()
    expect(view.state).toBe('open')
    view.openState = 'paused'
    expect(view.state).toBe('paused')
    const states: string[] = []
    view.onEnd = () => {
      states.push(view.state)
      return Promise.resolve(ENDED)
    }
    const closing = view.close()
    states.push(view.state)
    await closing
    expect([...states, view.state]).toEqual(['closing', 'closing', 'closed'])
  })

  it('closes once, with what its owner was asked for, and says so once', async () => {
    const view = new View()
    const given: CloseOptions[] = []
    const reports: CloseReport[] = []
    view.onEnd = (options) => {
      given.push(options)
      return Promise.resolve(ENDED)
    }
    view.on('closed', (report) => reports.push(report))
    const startedAt = performance.now()
    const first = view.close({ timeoutMillis: 5, waiters: 'reject' })
    expect(view.close()).toBe(first)
    const report = await first
    const tookMillis = performance.now() - startedAt
    expect(report).toMatchObject({ pool: 'orders', ...ENDED })
    expect(report.durationMillis).toBeGreaterThanOrEqual(0)
    expect(report.durationMillis).toBeLessThanOrEqual(tookMillis)
    expect(given).toEqual([{ timeoutMillis: 5, waiters: 'reject' }])
    expect(reports).toEqual([report])
    expect(view.hears('closed')).toBe(false)
    view.ownersClose(9)
    expect(await view.close()).toBe(report)
    expect(reports).toHaveLength(1)
  })

  it('closes without any options, and at the end of a block', async () => {
    const given: CloseOptions[] = []
    const view = new View()
    view.onEnd = (options) => {
      given.push(options)
      return Promise.resolve(ENDED)
    }
    await view[Symbol.asyncDispose]()
    expect(given).toEqual([{}])
    expect(view.state).toBe('closed')
  })

  it('is closed when its owner closes it', async () => {
    const view = new View()
    const reports: CloseReport[] = []
    view.on('closed', (report) => reports.push(report))
    view.ownersClose(3)
    const report = {
      pool: 'orders',
      closed: 3,
      forced: 0,
      pendingCreates: 0,
      rejected: 0,
      holders: [],
      durationMillis: 0,
    }
    expect(reports).toEqual([report])
    expect(view.state).toBe('closed')
    expect(await view.close()).toEqual(report)
  })

  it('is as healthy as its owner finds it', async () => {
    const view = new View()
    const limits: number[] = []
    view.onCheck = (timeoutMillis) => {
      limits.push(timeoutMillis)
      return ['warn', 'Pool is saturated']
    }
    const health = await view.health()
    expect(health).toMatchObject({ status: 'warn', pool: 'orders', kind: 'foreign', message: 'Pool is saturated' })
    expect(health.durationMillis).toBeGreaterThanOrEqual(0)
    expect(health.durationMillis).toBeLessThan(60_000)
    await view.health({ timeoutMillis: 50 })
    expect(limits).toEqual([1_000, 50])
  })

  it('is not healthy where a check throws, takes too long, or the pool is closed', async () => {
    const view = new View()
    view.onCheck = () => {
      throw new Error('the secret of the server')
    }
    expect(await view.health()).toMatchObject({ status: 'fail', message: 'No connection could be opened' })
    view.onCheck = () => new Promise<Verdict>(() => undefined)
    expect(await view.health({ timeoutMillis: 5 })).toMatchObject({
      status: 'fail',
      message: 'The server did not answer in time',
    })
    view.onCheck = () => ['pass', 'Pool is healthy']
    const closing = view.close()
    expect(await view.health()).toMatchObject({ status: 'fail', message: 'Pool is closed' })
    await closing
    expect(await view.health()).toMatchObject({ status: 'fail', message: 'Pool is closed' })
  })

  it('leaves no timer of a check that answers', async () => {
    const set = systemClock.setTimer.bind(systemClock)
    let running = 0
    const setTimer = vi.spyOn(systemClock, 'setTimer').mockImplementation((callback, delayMillis) => {
      const timer = set(callback, delayMillis)
      running++
      return {
        ref: () => timer.ref(),
        unref: () => timer.unref(),
        cancel: () => {
          running--
          timer.cancel()
        },
      }
    })
    await new View().health()
    expect(setTimer).toHaveBeenCalledTimes(1)
    expect(running).toBe(0)
    setTimer.mockRestore()
  })

  it('tells who listens, as long as they do', () => {
    const view = new View()
    const heard: number[] = []
    const listener = ({ resourceId }: { resourceId: number }): void => void heard.push(resourceId)
    view.tellCreated(1)
    expect(view.on('created', listener)).toBe(view)
    expect(view.hears('created')).toBe(true)
    view.tellCreated(2)
    expect(view.off('created', listener)).toBe(view)
    view.tellCreated(3)
    expect(heard).toEqual([2])
  })

  it('shows its numbers, and nothing of what it holds', () => {
    const view = new View()
    view.ledger.adopt(2)
    view.ledger.lend()
    view.ledger.createStarted()
    view.ledger.ask()
    expect(inspect(view)).toBe(
      `View { name: 'orders', kind: 'foreign', state: 'open', idle: 1, used: 1, creating: 1, waiting: 1, max: 4 }`,
    )
  })
})

describe('of a pool that somebody else runs, mistakes', () => {
  // What the process knows of its pools; each test begins with nothing.
  const open = globalThis as Record<symbol, unknown>
  const key = Symbol.for('millpond.openPools')
  let known: unknown
  beforeEach(() => {
    vi.stubEnv('MILLPOND_PROFILE', 'production')
    known = open[key]
    open[key] = undefined
  })
  afterEach(() => {
    open[key] = known
    vi.unstubAllEnvs()
  })

  const mistakesOf = (view: View): string[] => {
    const messages: string[] = []
    view.on('mistake', ({ code, message }) => messages.push(`${code} ${message}`))
    return messages
  }

  it('are told of, in the words of its options', async () => {
    const view = new View()
    const messages = mistakesOf(view)
    view.warnOfDeadlines('db:5432')
    expect(messages).toHaveLength(1)
    expect(messages[0]).toMatch(/^MILLPOND_NO_DEADLINE it has no deadline anywhere: .*; set `waitFor`$/)
    await view.close()
  })

  it('are told of where the server has no room for it: what it has open already is its own', async () => {
    const view = new View()
    const messages = mistakesOf(view)
    view.ledger.adopt(2)
    view.ledger.createStarted()
    await view.warnOfRoom(8, 100, 5)
    expect(messages).toEqual([])
    await view.warnOfRoom(9, 100, 5)
    expect(messages).toHaveLength(1)
    expect(messages[0]).toMatch(/^MILLPOND_MAX_ABOVE_SERVER `max` is 9, and the server has 8 connections left of 100: /)
    expect(messages[0]).toContain("raise the server's `max_connections`")
  })

  it('count its leases when the process exits', async () => {
    const view = new View()
    const messages = mistakesOf(view)
    view.warnOfDeadlines()
    view.ledger.adopt(1)
    view.ledger.lend()
    const { onExit } = open[key] as { onExit: () => void }
    onExit()
    expect(messages.at(-1)).toMatch(/^MILLPOND_EXIT_WITH_LEASES the process exits while 1 lease is out: /)
    await view.close()
  })
})
