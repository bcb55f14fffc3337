import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { fileURLToPath } from 'node:url'
import { grpcPool } from '../../src/adapters/grpc/grpc-pool.ts'
import type { EchoClass } from './grpc.ts'

// One call, and nothing that ends the pool.
const proto = fileURLToPath(new URL('../../rig/proto/rig.proto', import.meta.url))
const loaded = grpc.loadPackageDefinition(loadSync(proto)) as unknown as { millpond: { rig: { Echo: EchoClass } } }
const pool = grpcPool(loaded.millpond.rig.Echo, process.argv[2] ?? '', grpc.credentials.createInsecure())
console.log((await pool.promises.unary({ text: 'hello' })).text)
