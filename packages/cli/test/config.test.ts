import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { millpond } from './run.ts'

const root = mkdtempSync(join(tmpdir(), 'millpond-config-'))
writeFileSync(
  join(root, 'millpond.yaml'),
  'pools:\n  orders:\n    kind: postgres\n    preset: database\n    acquireTimeout: 2s\n  cache:\n    kind: redis\n',
)
writeFileSync(join(root, 'wrong.yaml'), 'pools:\n  orders:\n    kind: postgres\n    idelTimeout: 2s\n')
writeFileSync(join(root, '.env'), 'ORDERS_URL=postgres://ada:hunter2@db.example/shop\nORDERS_POOL_MAX=7\n')
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('millpond config', () => {
  it('shows each value with who says so, and no secret', async () => {
    const { code, out } = await millpond(['config', '--root', root, '--env-file', '.env'])
    expect(code).toBe(0)
    const row = (option: string): string[] =>
      (out.split('\n').find((line) => line.trim().startsWith(`${option} `)) ?? '').trim().split(/ {2,}/)
    expect(row('url')).toEqual(['url', 'postgres://ada:***@db.example/shop', 'ORDERS_URL'])
    expect(row('max')).toEqual(['max', '7', 'ORDERS_POOL_MAX'])
    expect(row('acquireTimeoutMillis')).toEqual(['acquireTimeoutMillis', '2s', 'millpond.yaml'])
    expect(row('idleTimeoutMillis')).toEqual(['idleTimeoutMillis', '10m', 'preset database'])
    expect(out).toContain('cache  redis, profile development')
    expect(out).not.toContain('hunter2')
    // Printing is what it does, with the word and without.
    expect(await millpond(['config', '--print', '--root', root, '--env-file', '.env'])).toEqual({ code, out, err: '' })
  })

  it('tells programs the same, of one pool, with what overrules what', async () => {
    const argv = ['config', 'orders', '--root', root, '--env-file', '.env', '--json']
    const { out } = await millpond(argv, { env: { ORDERS_POOL_MAX: '9', MILLPOND_PROFILE: 'production' } })
    const { pools, mistakes } = JSON.parse(out) as { pools: Record<string, unknown>[]; mistakes: string[] }
    expect(mistakes).toEqual([])
    expect(pools).toHaveLength(1)
    expect(out).toContain('"9"')
    expect(out).not.toContain('hunter2')
  })

  it('finds what variables alone name', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'millpond-config-'))
    const { code, out } = await millpond(['config', '--root', empty], { env: { REDIS_URL: 'redis://:hunter2@cache' } })
    expect(code).toBe(0)
    expect(out).toContain('redis://:***@cache')
    expect(await millpond(['config', '--root', empty])).toMatchObject({
      code: 2,
      err: expect.stringContaining('no pool found') as string,
    })
    rmSync(empty, { recursive: true, force: true })
  })

  it('says what is wrong, with exit code 1', async () => {
    const { code, out } = await millpond(['config', '--root', root, '--file', 'wrong.yaml'])
    expect(code).toBe(1)
    expect(out).toContain('did you mean `idleTimeout`?')
  })

  it('lists the options of a kind, for people and for programs', async () => {
    const { out } = await millpond(['config', '--options', 'redis'])
    expect(out).toContain('idleTimeout, ORDERS_POOL_IDLE_TIMEOUT')
    const listed = JSON.parse((await millpond(['config', '--options', 'redis', '--json'])).out) as { option: string }[]
    expect(listed.map(({ option }) => option)).toContain('maxSubscribers')
    expect(await millpond(['config', '--options', 'oracle'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected one of postgres, mysql') as string,
    })
  })
})
