import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it.each(['mysql2', 'mysql2-low'] as const)(
  'mysqlPool keeps the types of %s, and refuses wrong options',
  (mysqlTypes) => {
    expect(complaintsOf({ 'mysql-pool-types.ts': undefined }, { mysqlTypes })).toEqual([])
  },
)

it('notices a type that is lost', () => {
  const program = `
    import mysql from 'mysql2/promise'
    import { mysqlPool } from 'millpond/mysql'
    export const rows: Promise<string> = mysqlPool(mysql).query<mysql.RowDataPacket[]>('SELECT 1 AS one')
  `
  expect(complaintsOf({ 'lost.ts': program })).toEqual([expect.stringMatching(/^lost\.ts:4 Type 'Promise<\[/)])
})
