import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it('redisPool keeps the types of either driver, lowest and latest, and refuses wrong options', () => {
  expect(complaintsOf({ 'redis-pool-types.ts': undefined })).toEqual([])
  // The types of node-redis' cluster are large.
}, 600_000)

it('notices a type that is lost', () => {
  const program = `
    import { Redis } from 'ioredis'
    import { redisPool } from 'millpond/redis'
    export const length: Promise<string> = redisPool(Redis).client.llen('k')
  `
  expect(complaintsOf({ 'lost.ts': program })).toEqual([expect.stringMatching(/^lost\.ts:4 Type 'Promise<number>'/)])
})
