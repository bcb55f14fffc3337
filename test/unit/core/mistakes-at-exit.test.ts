import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Events } from '../../../src/core/events.ts'
import { lookForMistakes, lookForRoom, tellMistake, type Suspect } from '../../../src/core/mistakes.ts'

// What the process knows of its pools; each test begins with nothing.
const shared = globalThis as Record<symbol, unknown>
const KEY = Symbol.for('millpond.openPools')
let known: unknown
let said: string[]

beforeEach(() => {
  vi.stubEnv('MILLPOND_PROFILE', 'production')
  known = shared[KEY]
  shared[KEY] = undefined
  said = []
  vi.spyOn(fs, 'writeSync').mockImplementation((fd, line) => said.push(`${fd} ${line}`))
  syncBuiltinESMExports()
})
afterEach(() => {
  vi.mocked(fs.writeSync).mockRestore()
  syncBuiltinESMExports()
  shared[KEY] = known
  vi.unstubAllEnvs()
})

const exit = (): void => (shared[KEY] as { onExit: () => void }).onExit()
const endByItself = (): void => {
  const [noteEnd] = process.listeners('beforeExit').slice(-1)
  noteEnd?.(0)
}

function suspect(name: string, about: Partial<Suspect> & { leases?: number } = {}): Suspect & { heard: string[] } {
  const { leases = 1, ...rest } = about
  const events = new Events(name)
  const heard: string[] = []
  events.on('mistake', ({ pool, code }: { pool: string; code: string }) => heard.push(`${pool} ${code}`))
  const made = {
    name,
    factory: {},
    options: { acquireTimeoutMillis: 5_000, createTimeoutMillis: 5_000, maxUseMillis: Infinity },
    events,
    inventory: { leases },
    heard,
    ...rest,
  }
  lookForMistakes(made)
  return made
}

const close = ({ events, name }: Suspect): void => {
  events.queue('closed', {
    pool: name,
    closed: 0,
    forced: 0,
    pendingCreates: 0,
    rejected: 0,
    holders: [],
    durationMillis: 0,
  })
  events.flush()
}

describe('an exit', () => {
  it('is told of by every pool that has leases out, at once, and as an event', () => {
    const pools = [suspect('one'), suspect('none', { leases: 0 }), suspect('three', { leases: 3 })]
    exit()
    const mend = 'call `registry.close()`, or let `registry.closeOnSignals()` do it, before `process.exit`'
    const prefix = `2 (node:${process.pid}) [MILLPOND_EXIT_WITH_LEASES] MillpondWarning: pool`
    expect(said).toEqual([
      `${prefix} "one": the process exits while 1 lease is out: what runs on it is cut off; ${mend}\n`,
      `${prefix} "three": the process exits while 3 leases are out: what runs on them is cut off; ${mend}\n`,
    ])
    expect(pools.map(({ heard }) => heard)).toEqual([
      ['one MILLPOND_EXIT_WITH_LEASES'],
      [],
      ['three MILLPOND_EXIT_WITH_LEASES'],
    ])
    // Once is enough.
    exit()
    expect(said).toHaveLength(2)
    pools.forEach(close)
  })

  it('says nothing of what is held on purpose, and counts what cannot be asked', () => {
    const entries = [
      { leases: 1, resource: 'listens' },
      { leases: 2, resource: 'works' },
      { leases: 4, resource: 'throws' },
      { leases: 0, resource: 'works' },
    ]
    const isHeldOnPurpose = (resource: unknown): boolean => {
      if (resource === 'throws') throw new Error('cannot say')
      return resource === 'listens'
    }
    const pools = [
      suspect('mixed', { factory: { isHeldOnPurpose }, inventory: { leases: 7, entries: () => entries } }),
      suspect('listening', {
        factory: { isHeldOnPurpose },
        inventory: { leases: 1, entries: () => entries.slice(0, 1) },
      }),
      suspect('without a list', { factory: { isHeldOnPurpose }, inventory: { leases: 5 } }),
      suspect('without a verdict', { inventory: { leases: 8, entries: () => entries } }),
    ]
    exit()
    expect(said.map((line) => /pool "(.*)": .* while (\d+) lease/.exec(line)?.slice(1))).toEqual([
      ['mixed', '6'],
      ['without a list', '5'],
      ['without a verdict', '8'],
    ])
    pools.forEach(close)
  })

  it('of a pool that everybody forgot is none, and keeps nobody from being told of another', () => {
    const first = suspect('first')
    const { pools } = shared[KEY] as { pools: Set<{ deref(): undefined }> }
    pools.add({ deref: () => undefined })
    const last = suspect('last')
    exit()
    expect(said.map((line) => /pool "(.*)":/.exec(line)?.[1])).toEqual(['first', 'last'])
    for (const pool of [first, last]) close(pool)
  })

  it('of a process that ends by itself is none', () => {
    const pool = suspect('by itself')
    endByItself()
    exit()
    expect(said).toEqual([])
    close(pool)
  })

  it('is not looked for once the last pool is closed', () => {
    const count = (): number[] => [process.listenerCount('exit'), process.listenerCount('beforeExit')]
    const before = count()
    const [one, other] = [suspect('a'), suspect('b')]
    expect(count()).toEqual(before.map((each) => each + 1))
    close(one)
    expect(count()).toEqual(before.map((each) => each + 1))
    close(other)
    expect(count()).toEqual(before)
    const again = suspect('c')
    expect(count()).toEqual(before.map((each) => each + 1))
    exit()
    expect(process.listenerCount('beforeExit')).toBe(before[1])
    expect(said).toHaveLength(1)
    close(again)
    expect(count()).toEqual(before)
  })

  it('goes on where nobody reads what is said', () => {
    vi.mocked(fs.writeSync).mockImplementation(() => {
      throw new Error('EPIPE')
    })
    const pool = suspect('unread')
    expect(exit).not.toThrow()
    expect(pool.heard).toHaveLength(1)
    close(pool)
  })

  it('is no mistake in tests', () => {
    const pool = suspect('tested')
    vi.stubEnv('MILLPOND_PROFILE', 'test')
    exit()
    expect(said).toEqual([])
    const count = process.listenerCount('exit')
    suspect('made in a test')
    expect(process.listenerCount('exit')).toBe(count)
    vi.stubEnv('MILLPOND_PROFILE', undefined)
    vi.stubEnv('NODE_ENV', 'test')
    exit()
    expect(said).toEqual([])
    vi.stubEnv('NODE_ENV', 'production')
    exit()
    expect(said).toHaveLength(1)
    close(pool)
  })
})

describe('a mistake', () => {
  it('is told once for each thing that it is about', async () => {
    const warnings: (Error & { code?: string })[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    const pool = suspect('orders', { leases: 0 })
    for (const about of ['db', 'db', 'cache']) tellMistake(pool, 'MILLPOND_NO_DEADLINE', about, 'it is wrong')
    tellMistake(pool, 'MILLPOND_MAX_ABOVE_SERVER', 'db', 'it is too large')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings.map(({ name, code, message }) => [name, code, message])).toEqual([
      ['MillpondWarning', 'MILLPOND_NO_DEADLINE', 'pool "orders": it is wrong'],
      ['MillpondWarning', 'MILLPOND_NO_DEADLINE', 'pool "orders": it is wrong'],
      ['MillpondWarning', 'MILLPOND_MAX_ABOVE_SERVER', 'pool "orders": it is too large'],
    ])
    expect(pool.heard).toHaveLength(3)
    close(pool)
  })
})

describe('room on the server', () => {
  const look = async (max: number, room: object | undefined, open = 0): Promise<string[]> => {
    const events = new Events('orders')
    const heard: string[] = []
    events.on('mistake', ({ message }: { message: string }) => heard.push(message))
    const about = { name: `pool ${Math.random()}`, events, sizes: { max }, inventory: { open, creating: 1 } }
    await lookForRoom(about, 'max_connections', () => Promise.resolve(room as never))
    return heard
  }

  it('is enough where `max` fits into what is free, with what the pool has already', async () => {
    expect(await look(8, { usable: 100, free: 5 }, 2)).toEqual([])
    expect(await look(9, { usable: 100, free: 5 }, 2)).toEqual([
      "`max` is 9, and the server has 8 connections left of 100: lower `max` so that all instances together fit, raise the server's `max_connections`, or put a pooler in between",
    ])
    expect((await look(9, { usable: 7, free: 50 }, 2))[0]).toContain('has 7 connections left of 7')
    expect((await look(9, { usable: 7, free: -20 }, 2))[0]).toContain('has 0 connections left of 7')
  })

  it('is not asked for where one connection is all that the pool may have, nothing is known, or in tests', async () => {
    expect(await look(1, { usable: 0, free: 0 })).toEqual([])
    expect(await look(5, undefined)).toEqual([])
    vi.stubEnv('MILLPOND_PROFILE', 'test')
    expect(await look(5, { usable: 0, free: 0 })).toEqual([])
  })
})
