import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import Ajv from 'ajv'
import { describe, expect, it } from 'vitest'
import {
  fileSchema,
  helpText,
  KINDS,
  optionHelp,
  OPTION_NAMES,
  optionsOf,
  poolSettingsSchema,
  rowOf,
  type PoolSettings,
} from 'millpond/config'
import { engineOf, Pool } from '../../../src/core/pool.ts'
import { POOL_OPTION_NAMES } from '../../../src/core/options.ts'

const schema = poolSettingsSchema()['~standard']

/** Pools as they may stand in a file, and as they may not. */
const GOOD: readonly object[] = [
  { kind: 'postgres' },
  {
    kind: 'postgres',
    url: 'postgres://u:p@h:1/d',
    max: 20,
    min: '2',
    idleTimeout: '10m',
    maxLifetime: 'off',
    required: true,
  },
  { kind: 'redis', preset: 'redis', database: 3, maxSubscribers: 'unlimited', driver: { lazyConnect: true } },
  { kind: 'mysql', acquireTimeout: 0, growthHorizon: 'auto', trackStacks: 'yes', order: 'fifo', envPrefix: 'X_' },
  { kind: 'mongodb', max: 50, idleTimeout: '1m 30s' },
  { kind: 'grpc', streamsPerChannel: 50 },
]
const BAD: readonly object[] = [
  { kind: 'oracle' },
  { kind: 'postgres', max: 0 },
  { kind: 'postgres', max: 2.5 },
  { kind: 'postgres', max: 'many' },
  { kind: 'postgres', port: 70_000 },
  { kind: 'postgres', idleTimeout: 30 },
  { kind: 'postgres', idleTimeout: '30' },
  { kind: 'postgres', idleTimeoutMillis: 30_000 },
  { kind: 'postgres', user: '' },
  { kind: 'postgres', order: 'filo' },
  { kind: 'postgres', preset: 'databases' },
  { kind: 'postgres', required: 1 },
  { kind: 'postgres', driver: [] },
  { kind: 'mongodb', maxUses: 7 },
  { kind: 'redis', statementTimeout: '3s' },
]

describe('the schema of a pool', () => {
  it('is a Standard Schema, and a Standard JSON Schema', () => {
    const standard: StandardSchemaV1<Readonly<Record<string, unknown>>, PoolSettings> = poolSettingsSchema()
    const json: StandardJSONSchemaV1<Readonly<Record<string, unknown>>, PoolSettings> = poolSettingsSchema('redis')
    expect(standard['~standard']).toMatchObject({ version: 1, vendor: 'millpond' })
    expect(json['~standard'].jsonSchema.input({ target: 'draft-07' })).toMatchObject({
      properties: { kind: { const: 'redis' } },
    })
    expect(() => json['~standard'].jsonSchema.input({ target: 'openapi-3.0' })).toThrow('not offered')
  })

  it('gives settings by the names of code, with milliseconds', () => {
    expect(schema.validate(GOOD[1])).toEqual({
      value: {
        kind: 'postgres',
        url: 'postgres://u:p@h:1/d',
        max: 20,
        min: 2,
        idleTimeoutMillis: 600_000,
        maxLifetimeMillis: Infinity,
        required: true,
      },
    })
  })

  it('says where what is wrong', () => {
    expect(schema.validate({ kind: 'redis', mx: 3, acquireTimeout: '3 parsecs' })).toMatchObject({
      issues: [{ path: ['mx'] }, { path: ['acquireTimeout'] }],
    })
    expect(poolSettingsSchema('redis')['~standard'].validate({ kind: 'mysql' })).toMatchObject({
      issues: [{ path: ['kind'] }],
    })
    expect(schema.validate(7)).toMatchObject({ issues: [{ message: 'Expected an object of options', path: [] }] })
  })

  it.each(['draft-07', 'draft-2020-12'] as const)(
    'takes and refuses what the JSON Schema of %s takes and refuses',
    (target) => {
      const { $schema, ...body } = schema.jsonSchema.input({ target })
      expect($schema).toContain(target.replace('draft-', 'draft-').replace('draft-2020', 'draft/2020'))
      const validates = new Ajv.default({ strict: true, strictTypes: false, strictRequired: false }).compile(body)
      for (const pool of GOOD)
        expect([pool, validates(pool), validates.errors, schema.validate(pool).issues]).toEqual([
          pool,
          true,
          null,
          undefined,
        ])
      for (const pool of BAD)
        expect([pool, validates(pool), schema.validate(pool).issues === undefined]).toEqual([pool, false, false])
    },
  )

  it('is that of every pool in a file', () => {
    const { $schema, ...body } = fileSchema()
    expect($schema).toBeDefined()
    const validates = new Ajv.default({ strict: false }).compile(body)
    expect(validates({ pools: Object.fromEntries(GOOD.map((pool, index) => [`p${index}`, pool])) })).toBe(true)
    expect(validates({ pools: { a: BAD[1] } })).toBe(false)
    expect(validates({ pool: {} })).toBe(false)
  })

  it('describes what comes out as well', () => {
    const { $schema, ...body } = schema.jsonSchema.output({ target: 'draft-07' })
    expect($schema).toBeDefined()
    const validates = new Ajv.default({ strict: false }).compile(body)
    for (const pool of GOOD.slice(0, 1))
      expect(validates((schema.validate(pool) as { value: object }).value)).toBe(true)
    expect(validates({ kind: 'redis', idleTimeoutMillis: '30s' })).toBe(false)
  })
})

describe('the table', () => {
  it('has every option of the engine that is not a function, with its default', () => {
    const functions = ['name', 'hooks', 'clock', 'random', 'maxLeasesPerResource', 'hookTimeoutMillis']
    expect(POOL_OPTION_NAMES.filter((option) => !(OPTION_NAMES as readonly string[]).includes(option)).sort()).toEqual(
      functions.sort(),
    )
    const pool = new Pool({ kind: 'x', create: () => Promise.resolve({}), destroy: () => undefined })
    const options = engineOf(pool).options as unknown as Record<string, unknown>
    for (const option of OPTION_NAMES) {
      const { fallback } = rowOf(option)
      if (fallback !== undefined && option in options) expect([option, fallback]).toEqual([option, options[option]])
    }
  })

  it.each(KINDS)('gives a help text for %s that has every option', (kind) => {
    const text = helpText(kind)
    for (const { key, docs } of optionHelp(kind)) {
      expect(text).toContain(`  ${key}, ORDERS_`)
      expect(text).toContain(docs)
    }
    expect(optionsOf(kind).length).toBe(optionHelp(kind).length)
  })
})
