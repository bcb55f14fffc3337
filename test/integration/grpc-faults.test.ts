import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort, sleep, startFaultProxy, startGrpc, waitFor, type GrpcServer } from '@millpond/rig'
import { PoolError } from 'millpond'
import { closePools, keepCalling, poolOn } from '../support/grpc.ts'

let server: GrpcServer
beforeAll(async () => {
  server = await startGrpc({ maxConcurrentStreams: 100 })
})
afterEach(async () => {
  await closePools()
})
afterAll(async () => {
  await server.stop()
})

describe('a server that is down', () => {
  it('fails calls at once with the driver’s own error, with one probe at a time', async () => {
    await using proxy = await startFaultProxy(server)
    await proxy.set({ connect: 'reset' })
    const pool = poolOn({ target: `127.0.0.1:${proxy.port}` })
    const errors = await Promise.all(
      Array.from({ length: 200 }, () => pool.promises.unary({}).catch((error: unknown) => error)),
    )
    for (const error of errors) {
      expect(error).toMatchObject({ code: 14, details: expect.stringMatching(/^No connection established/) as string })
    }
    const [error] = errors as [grpc.ServiceError & { pool: object }]
    expect(error.pool).toMatchObject({ name: 'grpc', code: 'ERR_POOL_DOWN' })
    expect(PoolError.is(error.cause, 'ERR_POOL_DOWN')).toBe(true)
    // Three creates at first, ⌈200 / 80⌉.
    expect(proxy.accepted).toBeLessThanOrEqual(3)
    expect(pool.state).toBe('paused')
    await proxy.clear()
    await waitFor(() => pool.promises.unary({ text: 'back' }).then(() => true), { what: 'the pool has recovered' })
  })

  it('is waited for by calls that say so, up to their deadline', async () => {
    const port = await freePort()
    const pool = poolOn({ target: `127.0.0.1:${port}` })
    const metadata = new grpc.Metadata({ waitForReady: true })
    const late = pool.promises.unary({}, { metadata, timeoutMillis: 400 })
    await expect(late).rejects.toMatchObject({ code: expect.toBeOneOf([4, 14]) as number })
    const proxy = await startFaultProxy(server)
    await proxy.set({ connect: 'refuse' })
    const patient = poolOn({ target: `127.0.0.1:${proxy.port}` })
    const waiting = patient.promises.unary({ text: 'patient' }, { metadata, timeoutMillis: 15_000 })
    await expect(patient.promises.unary({})).rejects.toMatchObject({ code: 14 })
    await proxy.clear()
    expect((await waiting).text).toBe('patient')
    await proxy.close()
  })

  it('that is unknown, or whose certificate is not trusted, is told from one that is down', async () => {
    const unknown = poolOn({ target: 'dns:///no-such-host.invalid:50051' })
    const failures = new Set<string>()
    unknown.on('createFailed', ({ failure }) => failures.add(failure))
    await expect(unknown.promises.unary({})).rejects.toMatchObject({
      code: 14,
      details: expect.stringMatching(/Name resolution failed/) as string,
    })
    await using secured = await startGrpc({ tls: true })
    const untrusting = poolOn(secured, {}, grpc.credentials.createSsl())
    const ofTls = new Set<string>()
    untrusting.on('createFailed', ({ failure }) => ofTls.add(failure))
    await expect(untrusting.promises.unary({})).rejects.toMatchObject({ code: 14, pool: { code: 'ERR_POOL_CREATE' } })
    expect([...failures]).toEqual(['dns'])
    expect([...ofTls]).toEqual(['tls'])
  })

  it('comes back, after it was killed under load, and everything works again', async () => {
    await using going = await startGrpc()
    const pool = poolOn(going, { streamsPerChannel: 5 })
    const load = keepCalling(pool, 20)
    await waitFor(() => load.succeeded > 50, { what: 'calls succeed' })
    await going.kill()
    await waitFor(() => load.failures.length > 0, { what: 'calls fail' })
    await going.start()
    await waitFor(() => pool.state === 'open', { what: 'the pool has recovered' })
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 50, { what: 'calls succeed again' })
    await load.stop()
    for (const failure of load.failures) expect(failure).toMatchObject({ code: 14 })
  })
})

describe('retries', () => {
  it('repeat calls that failed, as often as they may', async () => {
    const pool = poolOn(server, { retry: { maxAttempts: 3, initialBackoffMillis: 10 } })
    expect(await pool.promises.unary({ text: 'third time', failCode: 14, failTimes: 2 })).toMatchObject({})
    await expect(pool.promises.unary({ text: 'never', failCode: 14 })).rejects.toMatchObject({ code: 14 })
    await expect(pool.promises.unary({ text: 'not this', failCode: 3, failTimes: 1 })).rejects.toMatchObject({
      code: 3,
    })
    expect(pool.stats()).toMatchObject({ leases: 0, acquired: 3 })
  })

  it('of the driver’s own service config work as they do without the pool', async () => {
    const config = {
      methodConfig: [
        {
          name: [{ service: 'millpond.rig.Echo' }],
          retryPolicy: {
            maxAttempts: 2,
            initialBackoff: '0.01s',
            maxBackoff: '0.1s',
            backoffMultiplier: 2,
            retryableStatusCodes: ['ABORTED'],
          },
        },
      ],
    }
    const pool = poolOn(server, { 'grpc.service_config': JSON.stringify(config) })
    expect(await pool.promises.unary({ text: 'own config', failCode: 10, failTimes: 1 })).toMatchObject({})
  })
})

describe('a black hole', () => {
  it('costs the calls that are in it, is found out, and gets no more', async () => {
    await using proxy = await startFaultProxy(server)
    const pool = poolOn(
      { target: `127.0.0.1:${proxy.port}` },
      { min: 2, max: 2, validateTimeoutMillis: 300, validateAfterIdleMillis: Infinity },
    )
    await pool.ready()
    await waitFor(() => proxy.connections.length === 2, { what: 'two connections' })
    proxy.connections[0]?.blackHole()
    const outcomes: unknown[] = []
    const call = async (): Promise<void> => {
      outcomes.push(
        await pool.promises.unary({}, { timeoutMillis: 100 }).then(
          () => 'ok',
          (error: grpc.ServiceError) => error.code,
        ),
      )
    }
    await Promise.all([call(), call()])
    expect(outcomes.sort()).toEqual([4, 'ok'])
    await waitFor(() => pool.stats().destroyed.lost === 1, { what: 'the dead channel is ended' })
    await waitFor(() => pool.stats().idle === 2, { what: 'it is replaced' })
    await Promise.all(Array.from({ length: 20 }, () => pool.promises.unary({}, { timeoutMillis: 2_000 })))
  })

  it('of an idle connection costs nobody a call: it is asked before it is used', async () => {
    await using proxy = await startFaultProxy(server)
    const pool = poolOn(
      { target: `127.0.0.1:${proxy.port}` },
      { validateTimeoutMillis: 200, validateAfterIdleMillis: 20 },
    )
    await pool.promises.unary({})
    proxy.connections[0]?.blackHole()
    await sleep(50)
    expect(await pool.promises.unary({ text: 'other' })).toMatchObject({ text: 'other' })
    await waitFor(() => pool.stats().destroyed.validate === 1, { what: 'the dead channel is ended' })
  })

  it('is found by pings while a call runs', async () => {
    await using proxy = await startFaultProxy(server)
    const pool = poolOn(
      { target: `127.0.0.1:${proxy.port}` },
      { 'grpc.keepalive_time_ms': 100, 'grpc.keepalive_timeout_ms': 100 },
    )
    await pool.ready()
    const slow = pool.promises.unary({ sleepMillis: 10_000 }).catch((error: unknown) => error)
    proxy.connections[0]?.blackHole()
    expect(await slow).toMatchObject({ code: 14 })
    expect(await pool.promises.unary({ text: 'other' })).toMatchObject({ text: 'other' })
    expect(pool.stats()).toMatchObject({ created: 2, leases: 0 })
  })

  it('opens and closes nothing without end: a paused server answers again', async () => {
    await using paused = await startGrpc()
    const pool = poolOn(paused)
    await pool.promises.unary({})
    paused.pause()
    const calls = Array.from({ length: 10 }, () =>
      pool.promises.unary({}, { timeoutMillis: 200 }).catch((error: grpc.ServiceError) => error.code),
    )
    expect(await Promise.all(calls)).toEqual(Array<number>(10).fill(4))
    paused.resume()
    expect(await pool.promises.unary({ text: 'again' }, { timeoutMillis: 5_000 })).toMatchObject({ text: 'again' })
    expect(pool.stats().created).toBeLessThanOrEqual(2)
  })
})

describe('a call made for a server call', () => {
  it('ends with it, while it waits for a channel', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1 })
    await pool.ready()
    const slow = pool.client.unary({ sleepMillis: 10_000 }, () => undefined)
    const front = new grpc.Server()
    front.addService(
      { proxy: { path: '/test/Proxy', requestStream: false, responseStream: false, ...BYTES } },
      {
        proxy(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
          pool.client.unary({}, new grpc.Metadata(), { parent: call }, (error) => {
            ended.resolve(error)
            callback(error)
          })
          asked.resolve(undefined)
        },
      },
    )
    const ended = withResolvers()
    const asked = withResolvers()
    const port = await new Promise<number>((resolve, reject) => {
      front.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound)
        else reject(error)
      })
    })
    const caller = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
    const call = caller.makeUnaryRequest(
      '/test/Proxy',
      BYTES.requestSerialize,
      BYTES.responseDeserialize,
      Buffer.alloc(0),
      () => undefined,
    )
    await asked.promise
    expect(pool.stats().waiting).toBe(1)
    call.cancel()
    expect(await ended.promise).toMatchObject({ code: 1, details: 'Cancelled by parent call' })
    expect(pool.stats().waiting).toBe(0)
    slow.cancel()
    caller.close()
    front.forceShutdown()
  })
})

const same = (bytes: Buffer): Buffer => bytes
const BYTES = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
}

function withResolvers() {
  let resolve: (value: unknown) => void = () => undefined
  const promise = new Promise<unknown>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
