import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

it('grpcPool keeps the types of the user’s client, and refuses wrong options', () => {
  expect(complaintsOf({ 'grpc-pool-types.ts': undefined })).toEqual([])
})

it('grpcPool compiles in CommonJS', () => {
  const program = `
    import grpc = require('@grpc/grpc-js')
    import { grpcPool } from 'millpond/grpc'
    declare const Client: grpc.ServiceClientConstructor
    export const pool = grpcPool(Client, 'localhost:1', grpc.credentials.createInsecure(), { maxChannels: 2 })
  `
  expect(complaintsOf({ 'common.cts': program })).toEqual([])
})
