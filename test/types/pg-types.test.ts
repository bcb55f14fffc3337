import { describe, expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

const COMMON_JS = `
import pg = require('pg')
import { pgPool } from 'millpond/pg'
export const pool = pgPool(pg, { max: 2 })
export const asDriver: pg.Pool = pool
export const rows: Promise<pg.QueryResult<{ one: number }>> = pool.query<{ one: number }>('SELECT 1 AS one')
`
const NAMESPACE = `
import * as pg from 'pg'
import { pgPool } from 'millpond/pg'
export const pool = pgPool(pg, { max: 2 })
export const asDriver: pg.Pool = pool
`

describe.each(['types-pg-low', '@types/pg'] as const)('pgPool with %s', (pgTypes) => {
  it('keeps the types of the user’s driver, and refuses wrong options', () => {
    expect(complaintsOf({ 'pg-pool-types.ts': undefined }, { pgTypes })).toEqual([])
  })

  it('compiles in CommonJS, and on the driver’s namespace', () => {
    expect(complaintsOf({ 'common.cts': COMMON_JS, 'namespace.ts': NAMESPACE }, { pgTypes })).toEqual([])
  })
})

it('notices a type that is lost', () => {
  const program = `
    import pg from 'pg'
    import { pgPool } from 'millpond/pg'
    export const rows: Promise<string> = pgPool(pg).query<{ one: number }>('SELECT 1 AS one')
  `
  expect(complaintsOf({ 'lost.ts': program })).toEqual([expect.stringMatching(/^lost\.ts:4 Type 'Promise<QueryResult/)])
})
