import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startGrpc, type GrpcServer } from '@millpond/rig'
import { grpcPool } from 'millpond/grpc'
import { closePools, Echo, poolOn, warningsOf } from '../support/grpc.ts'

let server: GrpcServer
beforeAll(async () => {
  server = await startGrpc()
})
afterEach(async () => {
  await closePools()
})
afterAll(async () => {
  await server.stop()
})

const nowhere = { target: '127.0.0.1:1' }
const insecure = grpc.credentials.createInsecure()

describe('options', () => {
  it('have the driver’s defaults where those are bounded', () => {
    const pool = poolOn(nowhere)
    expect(pool.stats()).toMatchObject({ name: 'grpc', kind: 'grpc', max: 10, min: 0 })
    expect(pool.core.stats().total).toBe(0)
  })

  it.each([
    [{ maxChanels: 3 }, /Unknown option `maxChanels`; did you mean `maxChannels`\?/],
    [{ streamsPerChanel: 3 }, /did you mean `streamsPerChannel`\?/],
    [{ idleTimeoutMilis: 3 }, /did you mean `idleTimeoutMillis`\?/],
    [{ max: 3, maxChannels: 3 }, /two names for one thing/],
    [{ idleTimeoutMillis: 3, 'grpc.client_idle_timeout_ms': 3 }, /two names for one thing/],
    [{ retry: {}, 'grpc.service_config': '{}' }, /two names for one thing/],
    [{ maxChannels: 0 }, /Expected `maxChannels` to be an integer ≥ 1, got 0/],
    [{ streamsPerChannel: 1.5 }, /Expected `streamsPerChannel` to be an integer ≥ 1, got 1.5/],
    [{ maxLeasesPerResource: 5 }, /is `streamsPerChannel` here/],
    [{ healthService: 5 }, /Expected `healthService` to be the name of a service, or false/],
    [{ retry: { maxAttempts: 9 } }, /at most 5, got 9/],
    [{ retry: { retryableStatusCodes: ['UNAVAILBLE'] } }, /to be one of 'CANCELLED'/],
    [{ 'grpc.use_local_subchannel_pool': 0 }, /has all channels share one connection/],
    [{ channelOverride: {} }, /a pool makes its own/],
    [{ min: 5, max: 2 }, /Expected `min` to be at most `max`/],
  ])('%j are refused', (options, message) => {
    expect(() => poolOn(nowhere, options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_POOL_OPTION', message: expect.stringMatching(message) as string }) as Error,
    )
  })

  it('must come with a client class and a target', () => {
    expect(() => grpcPool(Object as never, 'localhost:1', insecure as never)).toThrow(/Expected `Client` to be a class/)
    expect(() => grpcPool(Echo, '', insecure)).toThrow(/Expected `target` to be an address/)
  })
})

describe('channel arguments', () => {
  it.each([
    [
      { 'grpc.keepalive_tim_ms': 1 },
      'unknown channel argument `grpc.keepalive_tim_ms`, which @grpc/grpc-js takes without a word; did you mean `grpc.keepalive_time_ms`?',
    ],
    [
      { 'grpc.http2.max_pings_without_data': 0 },
      "`grpc.http2.max_pings_without_data` is of gRPC's C core; @grpc/grpc-js ignores it",
    ],
    [{ 'grpc.max_concurrent_streams': 5 }, '`grpc.max_concurrent_streams` is for servers'],
    [{ 'grpc.max_receive_message_length': -1 }, '`grpc.max_receive_message_length: -1` is no limit'],
    [
      { 'grpc.keepalive_time_ms': 30_000 },
      '`grpc.keepalive_time_ms: 30000` pings while calls are under way, more often than servers allow',
    ],
    [{ 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_permit_without_calls': 1 }, 'pings also without calls'],
    [{ 'grpc.keepalive_time_ms': 400_000, 'grpc.keepalive_permit_without_calls': true }, 'must be the number 1 or 0'],
    [{ 'grpc.keepalive_permit_without_calls': 1 }, 'does nothing without `grpc.keepalive_time_ms`'],
    [{ 'my-own-argument': 1 }, 'unknown option `my-own-argument`, passed on to the driver'],
  ])('%j are passed on, with a warning', async (options, text) => {
    const warnings = await warningsOf(() => poolOn(nowhere, options))
    expect(warnings).toEqual([expect.stringContaining(text)])
    expect(warnings[0]).toMatch(/^pool "grpc": /)
  })

  it('that the driver knows are passed on in silence', async () => {
    const limit = { 'grpc.max_receive_message_length': 1_000, 'grpc.primary_user_agent': 'my-service/1' }
    const warnings = await warningsOf(async () => {
      const pool = poolOn(server, limit)
      await server.reset()
      await pool.promises.unary({})
      expect((await server.view()).userAgents).toEqual([expect.stringMatching(/^my-service\/1 grpc-node-js/)])
      await expect(pool.promises.unary({ padding: 2_000 })).rejects.toMatchObject({ code: 8 })
    })
    expect(warnings).toEqual([])
  })

  it('limit what is sent, by calls and by streams, before it is', async () => {
    const pool = poolOn(server, { 'grpc.max_send_message_length': 1_000 })
    const tooLong = { text: 'x'.repeat(2_000) }
    await server.reset()
    await expect(pool.promises.unary(tooLong)).rejects.toMatchObject({ code: 8 })
    const streamed = await new Promise<unknown>((resolve) => {
      const call = pool.client.clientStream(resolve)
      call.write({ text: 'short' })
      call.write(tooLong)
    })
    expect(streamed).toMatchObject({ code: 8 })
    expect(await pool.promises.unary({ text: 'short' })).toMatchObject({ text: 'short' })
    expect(pool.stats()).toMatchObject({ leases: 0, waiting: 0 })
  })

  it('of the guide work, and are named where they do nothing', async () => {
    const warnings = await warningsOf(async () => {
      const pool = poolOn(server, {
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        'grpc.keepalive_permit_without_calls': 1,
        'grpc.keepalive_time_ms': 30_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.http2.min_time_between_pings_ms': 10_000,
        'grpc.http2.max_pings_without_data': 0,
      })
      const reply = await new Promise((resolve, reject) => {
        pool.client.unary({ text: 'guide', padding: 5_000_000 }, (error, response) => {
          if (error) reject(error)
          else resolve(response)
        })
      })
      expect(reply).toMatchObject({ text: 'guide' })
    })
    expect(warnings).toHaveLength(5)
  })
})

describe('health', () => {
  it('is what the server’s health service says', async () => {
    const pool = poolOn(server)
    expect(await pool.health()).toMatchObject({
      status: 'pass',
      pool: 'grpc',
      kind: 'grpc',
      message: 'Pool is healthy',
    })
    await server.setHealth('NOT_SERVING')
    expect(await pool.health()).toMatchObject({ status: 'fail', message: 'The server says NOT_SERVING' })
    await server.setHealth('SERVING')
    await server.setHealth('NOT_SERVING', 'millpond.rig.Echo')
    const ofService = poolOn(server, { healthService: 'millpond.rig.Echo' })
    expect(await ofService.health()).toMatchObject({
      status: 'fail',
      message: 'The service "millpond.rig.Echo" says NOT_SERVING',
    })
    const ofNone = poolOn(server, { healthService: 'no.such.Service' })
    expect(await ofNone.health()).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('does not know') as string,
    })
    expect(pool.stats().leases).toBe(0)
  })

  it('passes where the server answers without one, or is asked nothing', async () => {
    await using plain = await startGrpc({ health: false })
    expect(await poolOn(plain).health()).toMatchObject({
      status: 'pass',
      message: expect.stringContaining('no health service') as string,
    })
    expect(await poolOn(plain, { healthService: false }).health()).toMatchObject({ status: 'pass' })
  })

  it('fails where nothing answers, in time', async () => {
    expect(await poolOn(nowhere).health()).toMatchObject({ status: 'fail', message: 'No connection could be opened' })
    await using paused = await startGrpc()
    const pool = poolOn(paused)
    await pool.promises.unary({})
    paused.pause()
    expect(await pool.health({ timeoutMillis: 100 })).toMatchObject({ status: 'fail' })
    paused.resume()
  })

  it('warns where every stream is taken', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 2 })
    await pool.ready()
    const calls = [1, 2].map(() => pool.client.unary({ sleepMillis: 10_000 }, () => undefined))
    expect(await pool.health()).toMatchObject({ status: 'warn' })
    for (const call of calls) call.cancel()
  })
})

describe('secrets', () => {
  it('are in no error, statistic or picture of the pool', async () => {
    const secret = 'very-secret-token'
    await using secured = await startGrpc({ tls: true })
    const pool = poolOn(
      secured,
      { 'grpc.http_connect_creds': `user:${secret}` },
      grpc.credentials.createSsl(secured.certificate()),
    )
    const metadata = new grpc.Metadata()
    metadata.add('authorization', `Bearer ${secret}`)
    const error = await pool.promises.unary({ failCode: 16 }, { metadata }).catch((each: unknown) => each)
    await pool.core.use((channel) => {
      const shown = [pool, pool.client.getChannel(), channel, pool.core, error, pool.stats()]
      for (const each of shown) expect(inspect(each, { depth: 6, showHidden: true })).not.toContain(secret)
    })
  })
})

describe('a program', () => {
  it('that leaves its pool open ends by itself', () => {
    const program = fileURLToPath(new URL('../support/grpc-exit-program.ts', import.meta.url))
    const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', program, server.target], {
      encoding: 'utf8',
      timeout: 15_000,
    })
    expect({ status, stdout: stdout.trim() }).toEqual({ status: 0, stdout: 'hello' })
  })
})
