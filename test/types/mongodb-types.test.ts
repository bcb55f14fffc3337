import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it.each([undefined, 'low'] as const)(
  'mongoOptions and observeMongo go with the driver and mongoose, and refuse wrong options (%s)',
  (mongoTypes) => {
    expect(
      complaintsOf({ 'mongodb-pool-types.ts': undefined }, mongoTypes === undefined ? {} : { mongoTypes }),
    ).toEqual([])
  },
)

it('notices a type that is lost', () => {
  const program = `
    import { mongoOptions } from 'millpond/mongodb'
    export const name: number = mongoOptions({ appName: 'shop' }).appName
  `
  expect(complaintsOf({ 'lost.ts': program })).toEqual(["lost.ts:3 Type 'string' is not assignable to type 'number'."])
})
