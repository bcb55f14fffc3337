import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { POOL_OPTION_NAMES, resolveOptions, type PoolOptions } from '../../../src/core/options.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

const resolve = (options: object = {}): PoolOptions => resolveOptions('thing', options)

describe('a pool that is told nothing', () => {
  it('has the defaults that are documented', () => {
    vi.stubEnv('MILLPOND_PROFILE', 'production')
    expect(resolve()).toStrictEqual({
      name: 'thing',
      max: 10,
      min: 0,
      minIdle: 0,
      maxOverflow: 0,
      maxConnecting: 8,
      maxWaiting: 10_000,
      maxLeasesPerResource: 1,
      acquireTimeoutMillis: 5_000,
      createTimeoutMillis: 10_000,
      validateTimeoutMillis: 5_000,
      resetTimeoutMillis: 5_000,
      destroyTimeoutMillis: 2_000,
      hookTimeoutMillis: 5_000,
      validateAfterIdleMillis: 500,
      keepAliveMillis: 120_000,
      idleTimeoutMillis: 600_000,
      maxIdle: Infinity,
      maxLifetimeMillis: 1_800_000,
      maxUses: Infinity,
      leakThresholdMillis: Infinity,
      maxUseMillis: Infinity,
      slowMillis: 1_000,
      trackStacks: false,
      reclaimAbandoned: false,
      growthHorizonMillis: 0,
      order: 'lifo',
      queue: 'fifo',
      admission: 'off',
      nested: 'allow',
      failFastWhenDown: false,
      label: undefined,
      hooks: undefined,
      clock: systemClock,
      random: Math.random,
    })
  })

  it('looks closer outside production, by its own profile before that of Node', () => {
    const watched = { nested: 'warn', reclaimAbandoned: true }
    const bare = { nested: 'allow', reclaimAbandoned: false }
    vi.stubEnv('NODE_ENV', 'production')
    vi.stubEnv('MILLPOND_PROFILE', undefined)
    expect(resolve()).toMatchObject(bare)
    vi.stubEnv('MILLPOND_PROFILE', 'development')
    expect(resolve()).toMatchObject(watched)
    vi.stubEnv('NODE_ENV', 'test')
    expect(resolve()).toMatchObject(watched)
    vi.stubEnv('MILLPOND_PROFILE', 'production')
    expect(resolve()).toMatchObject(bare)
  })

  it('keeps stacks where it is to tell of leaks', () => {
    expect(resolve({ leakThresholdMillis: 1_000 }).trackStacks).toBe(true)
    expect(resolve({ leakThresholdMillis: 1_000, trackStacks: false }).trackStacks).toBe(false)
  })
})

describe('what is given', () => {
  it('is taken, whatever the default', () => {
    const given: Required<PoolOptions> = {
      name: 'orders',
      max: 20,
      min: 2,
      minIdle: 3,
      maxOverflow: 4,
      maxConnecting: 5,
      maxWaiting: 0,
      maxLeasesPerResource: 7,
      acquireTimeoutMillis: 0,
      createTimeoutMillis: 11,
      validateTimeoutMillis: 12,
      resetTimeoutMillis: 13,
      destroyTimeoutMillis: 14,
      hookTimeoutMillis: 15,
      validateAfterIdleMillis: 0,
      keepAliveMillis: 17,
      idleTimeoutMillis: 0,
      maxIdle: 6,
      maxLifetimeMillis: 19,
      maxUses: 20,
      leakThresholdMillis: 21,
      maxUseMillis: 22,
      slowMillis: 23,
      trackStacks: false,
      reclaimAbandoned: false,
      growthHorizonMillis: 'auto',
      order: 'fifo',
      queue: 'codel',
      admission: 'deadline',
      nested: 'throw',
      failFastWhenDown: true,
      label: () => 'GET /',
      hooks: { onCreate: () => undefined, beforeAcquire: () => undefined, afterRelease: () => undefined },
      clock: { ...systemClock },
      random: () => 0.5,
    }
    const resolved = resolve(given)
    expect(resolved).toStrictEqual(given)
    expect(Object.isFrozen(resolved)).toBe(true)
    expect(Object.keys(given).sort()).toEqual([...POOL_OPTION_NAMES].sort())
  })

  it('is not looked at where it is undefined', () => {
    const nothing = Object.fromEntries(POOL_OPTION_NAMES.map((name) => [name, undefined]))
    expect(resolve(nothing)).toStrictEqual(resolve())
  })

  const DURATION = 'a number of milliseconds > 0 or Infinity'
  const DURATION_OR_ZERO = 'a number of milliseconds ≥ 0 or Infinity'
  it.each([
    ['name', '', 'a string that is not empty'],
    ['max', 0, 'an integer ≥ 1 or Infinity'],
    ['min', Infinity, 'an integer ≥ 0'],
    ['minIdle', -1, 'an integer ≥ 0'],
    ['maxOverflow', -1, 'an integer ≥ 0 or Infinity'],
    ['maxConnecting', 0, 'an integer ≥ 1 or Infinity'],
    ['maxWaiting', -1, 'an integer ≥ 0 or Infinity'],
    ['maxLeasesPerResource', 0, 'an integer ≥ 1 or Infinity'],
    ['acquireTimeoutMillis', -1, DURATION_OR_ZERO],
    ['createTimeoutMillis', 0, DURATION],
    ['validateTimeoutMillis', 0, DURATION],
    ['resetTimeoutMillis', 0, DURATION],
    ['destroyTimeoutMillis', 0, DURATION],
    ['hookTimeoutMillis', 0, DURATION],
    ['validateAfterIdleMillis', -1, DURATION_OR_ZERO],
    ['keepAliveMillis', 0, DURATION],
    ['idleTimeoutMillis', -1, DURATION_OR_ZERO],
    ['maxIdle', -1, 'an integer ≥ 0 or Infinity'],
    ['maxLifetimeMillis', 0, DURATION],
    ['maxUses', 0, 'an integer ≥ 1 or Infinity'],
    ['leakThresholdMillis', 0, DURATION],
    ['maxUseMillis', 0, DURATION],
    ['slowMillis', 0, DURATION],
    ['trackStacks', 1, 'a boolean'],
    ['reclaimAbandoned', 1, 'a boolean'],
    ['growthHorizonMillis', Infinity, 'a number of milliseconds ≥ 0'],
    ['order', 1, "one of 'lifo', 'fifo'"],
    ['queue', 1, "one of 'fifo', 'codel'"],
    ['admission', 1, "one of 'off', 'deadline'"],
    ['nested', 1, "one of 'allow', 'warn', 'throw'"],
    ['failFastWhenDown', 1, 'a boolean'],
    ['label', 1, 'a string or a function'],
    ['hooks', 1, 'an object'],
    ['clock', 1, 'an object'],
    ['random', 1, 'a function'],
  ])('as `%s` may not be %s, but %s', (option, wrong, rule) => {
    const got = typeof wrong === 'string' ? `'${wrong}' (string)` : String(wrong)
    expect(() => resolve({ [option]: wrong })).toThrow(
      expect.objectContaining({
        code: 'ERR_POOL_OPTION',
        option,
        pool: option === 'name' ? '' : 'thing',
        message: `Expected \`${option}\` to be ${rule}, got ${got}`,
      }) as Error,
    )
  })

  it('may be no text where a number is wanted, and not null where an object is', () => {
    expect(() => resolve({ acquireTimeoutMillis: '5000' })).toThrow(`got '5000' (string)`)
    expect(() => resolve({ max: '10' })).toThrow(`got '10' (string)`)
    expect(() => resolve({ clock: null })).toThrow('Expected `clock` to be an object, got null')
  })

  it('names the pool that it is of', () => {
    const of = (options: object): unknown => {
      try {
        resolve(options)
      } catch (error) {
        return (error as { pool: string }).pool
      }
      return undefined
    }
    expect(of({ name: 'orders', max: 0 })).toBe('orders')
    expect(of({ name: 7, max: 0 })).toBe('thing')
    expect(of({ name: 'orders', mux: 0 })).toBe('orders')
    expect(of({ name: 'orders', hooks: { nothing: 1 } })).toBe('orders')
    expect(of({ name: 'orders', min: 11 })).toBe('orders')
  })

  it('only to `growthHorizonMillis` may be `auto`', () => {
    expect(() => resolve({ keepAliveMillis: 'auto' })).toThrow("got 'auto' (string)")
    expect(() => resolve({ growthHorizonMillis: 'always' })).toThrow("got 'always' (string)")
  })

  it('may ask for no more than `max`', () => {
    expect(resolve({ max: 3, min: 3, minIdle: 3 })).toMatchObject({ max: 3, min: 3, minIdle: 3 })
    expect(() => resolve({ max: 3, min: 4 })).toThrow('Expected `min` to be at most `max` (3), got 4')
    expect(() => resolve({ max: 3, minIdle: 4 })).toThrow('Expected `minIdle` to be at most `max` (3), got 4')
  })

  it('may name three hooks', () => {
    expect(() => resolve({ hooks: { beforeAquire: () => undefined } })).toThrow(
      'Unknown option `hooks.beforeAquire`; did you mean `hooks.beforeAcquire`?',
    )
    expect(() => resolve({ hooks: { afterRelase: () => undefined } })).toThrow('did you mean `hooks.afterRelease`?')
    expect(() => resolve({ somethingElse: 1 })).toThrow(/^Unknown option `somethingElse`$/)
  })
})
