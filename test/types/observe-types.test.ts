import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it('observe takes what it knows, gives ours back with its own type, and refuses wrong options', () => {
  expect(complaintsOf({ 'observe-pool-types.ts': undefined })).toEqual([])
})

it('notices a type that is lost', () => {
  const program = `
    import { observe } from 'millpond/observe'
    export const total: string = observe(fetch).stats().total
  `
  expect(complaintsOf({ 'lost.ts': program })).toEqual(["lost.ts:3 Type 'number' is not assignable to type 'string'."])
})
