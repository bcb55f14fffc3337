import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it('httpPool and httpAgents keep the types of undici and of Node, and refuse wrong options', () => {
  expect(complaintsOf({ 'http-pool-types.ts': undefined })).toEqual([])
})

it('httpPool compiles in CommonJS', () => {
  const program = `
    import undici = require('undici')
    import { httpPool } from 'millpond/http'
    export const pool = httpPool(undici, { max: 2 })
  `
  expect(complaintsOf({ 'common.cts': program })).toEqual([])
})
