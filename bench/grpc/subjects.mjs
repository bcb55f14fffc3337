/** Ways to make gRPC calls: `work` makes one and is answered. */
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { grpcPool } from '../../dist/adapters/grpc/index.js'

const insecure = grpc.credentials.createInsecure()

/**
 * @typedef {import('../lib/block.mjs').Client} Client
 * @typedef {{ address: string, proto: string, sleepMillis?: number }} Target
 */

function classOf({ proto }) {
  return grpc.loadPackageDefinition(loadSync(proto, { defaults: true })).millpond.rig.Echo
}

function call(client, request) {
  return new Promise((resolve, reject) => {
    client.unary(request, (error, reply) => {
      if (error === null) resolve(reply)
      else reject(error)
    })
  })
}

/** So many clients of the driver's own, which take turns. */
const clients =
  (count, options = {}) =>
  (target) => {
    const Echo = classOf(target)
    const all = Array.from({ length: count }, () => new Echo(target.address, insecure, options))
    const request = { sleepMillis: target.sleepMillis ?? 0 }
    return {
      work: (n) => call(all[n % count], request),
      close: () => all.forEach((each) => each.close()),
    }
  }

function pooled(target) {
  const pool = grpcPool(classOf(target), target.address, insecure)
  const request = { sleepMillis: target.sleepMillis ?? 0 }
  return { work: () => call(pool.client, request), close: () => pool.close() }
}

function promised(target) {
  const pool = grpcPool(classOf(target), target.address, insecure)
  const request = { sleepMillis: target.sleepMillis ?? 0 }
  return { work: () => pool.promises.unary(request), close: () => pool.close() }
}

const callers = [10, 100]

/** Ours in place of one channel, whose connection carries all calls. */
export const PAIRS = {
  'one channel → pool': { theirs: clients(1), ours: pooled, callers, operations: 3_000 },
  'one channel → pool, promise form': { theirs: clients(1), ours: promised, callers, operations: 3_000 },
}

/** For calls that take long, from a server with a limit of streams. */
export const SUBJECTS = {
  'one channel': clients(1),
  '4 clients, as they are': clients(4),
  '4 channels with connections of their own': clients(4, { 'grpc.use_local_subchannel_pool': 1 }),
  millpond: pooled,
  'millpond, promise form': promised,
}
