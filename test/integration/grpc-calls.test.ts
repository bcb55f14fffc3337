import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startGrpc, waitFor, type GrpcServer } from '@millpond/rig'
import { PoolError } from 'millpond'
import { closePools, poolOn, type EchoReply } from '../support/grpc.ts'

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

describe('a call of the client', () => {
  it('is unary, with a callback, metadata and options', async () => {
    const pool = poolOn(server)
    const metadata = new grpc.Metadata()
    metadata.add('x-test', 'one')
    const headers = new Promise((resolve) => {
      const call = pool.client.unary({ text: 'hello' }, metadata, { deadline: Date.now() + 5_000 }, (error, reply) => {
        resolve({ error, reply })
      })
      expect(call).toBeInstanceOf(Object)
      expect(pool.stats().leases + pool.stats().waiting).toBe(1)
    })
    expect(await headers).toMatchObject({ error: null, reply: { text: 'hello', metadata: ['one'] } })
    expect(pool.stats()).toMatchObject({ leases: 0, idle: 1, acquired: 1 })
  })

  it('gives metadata, status and peer on the driver’s own call object', async () => {
    const pool = poolOn(server)
    await pool.ready()
    const call = pool.client.unary({ text: 'hello' }, () => undefined)
    expect(pool.stats().leases).toBe(1)
    const [metadata] = (await once(call, 'metadata')) as [grpc.Metadata]
    expect(metadata).toBeInstanceOf(grpc.Metadata)
    expect(call.getPeer()).toBe(server.target)
    const [status] = (await once(call, 'status')) as [grpc.StatusObject]
    expect(status.code).toBe(grpc.status.OK)
    expect(pool.stats().leases).toBe(0)
  })

  it('streams from the server, and is counted to its end', async () => {
    const pool = poolOn(server)
    const texts: string[] = []
    for await (const reply of pool.client.serverStream({ text: 'n', count: 3, sleepMillis: 10 })) {
      texts.push((reply as EchoReply).text)
      expect(pool.stats().leases).toBe(1)
    }
    expect(texts).toEqual(['n 0', 'n 1', 'n 2'])
    await waitFor(() => pool.stats().leases === 0, { what: 'the stream is over' })
  })

  it('streams to the server, also what was written before there was a channel', async () => {
    const pool = poolOn(server)
    const reply = await new Promise<EchoReply | undefined>((resolve, reject) => {
      const call = pool.client.clientStream((error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      })
      for (const text of ['a', 'b', 'c']) call.write({ text })
      call.end()
    })
    expect(reply).toMatchObject({ text: 'a b c', count: 3 })
    expect(pool.stats().leases).toBe(0)
  })

  it('streams both ways', async () => {
    const pool = poolOn(server)
    const call = pool.client.bidi()
    const texts: string[] = []
    call.on('data', ({ text }: EchoReply) => texts.push(text))
    const ended = once(call, 'end')
    call.write({ text: 'a' })
    await waitFor(() => texts.length === 1, { what: 'the first answer' })
    expect(pool.stats().leases).toBe(1)
    call.write({ text: 'b' })
    call.end()
    await ended
    expect(texts).toEqual(['a', 'b'])
    await waitFor(() => pool.stats().leases === 0, { what: 'the stream is over' })
  })

  it('fails with the server’s own status', async () => {
    const pool = poolOn(server)
    const error = await new Promise((resolve) => pool.client.unary({ failCode: 5 }, resolve))
    expect(error).toMatchObject({ code: 5, details: 'asked to fail with 5' })
    const stream = pool.client.serverStream({ failCode: 7, count: 1 })
    stream.resume()
    const [failure] = (await once(stream, 'error')) as [grpc.ServiceError]
    expect(failure.code).toBe(7)
    expect(pool.stats()).toMatchObject({ leases: 0, idle: 1, created: 1 })
  })

  it('is cancelled while it runs, and while it waits', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1 })
    await pool.ready()
    const outcome = (call: (done: (error: unknown) => void) => grpc.ClientUnaryCall) => {
      let cancel = (): void => undefined
      const error = new Promise((resolve) => {
        const made = call(resolve)
        cancel = () => made.cancel()
      })
      return { error, cancel: () => cancel() }
    }
    const running = outcome((done) => pool.client.unary({ sleepMillis: 10_000 }, done))
    const waiting = outcome((done) => pool.client.unary({}, done))
    expect(pool.stats()).toMatchObject({ leases: 1, waiting: 1 })
    waiting.cancel()
    expect(await waiting.error).toMatchObject({ code: 1, details: 'Cancelled on client' })
    running.cancel()
    expect(await running.error).toMatchObject({ code: 1 })
    expect(pool.stats()).toMatchObject({ leases: 0, waiting: 0, aborted: 1 })
    await waitFor(async () => (await server.view()).cancelled > 0, { what: 'the server hears of it' })
  })

  it('ends at its deadline while it runs, and while it waits', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1 })
    await pool.ready()
    const call = (deadline: number): Promise<unknown> =>
      new Promise((resolve) => pool.client.unary({ sleepMillis: 10_000 }, new grpc.Metadata(), { deadline }, resolve))
    const running = call(Date.now() + 300)
    const waiting = call(Date.now() + 50)
    expect(await waiting).toMatchObject({ code: 4, pool: { name: 'grpc', code: 'ERR_POOL_ACQUIRE_TIMEOUT' } })
    expect(await running).toMatchObject({ code: 4, details: expect.stringMatching(/^Deadline exceeded/) as string })
  })

  it('says why it got no channel', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1, acquireTimeoutMillis: 50, maxWaiting: 1 })
    await pool.ready()
    const slow = pool.client.unary({ sleepMillis: 10_000 }, () => undefined)
    const late = pool.promises.unary({})
    const refused = await pool.promises.unary({}).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 8, pool: { code: 'ERR_POOL_OVERLOADED' } })
    const error = (await late.catch((each: unknown) => each)) as grpc.ServiceError
    expect(error).toMatchObject({ code: 14, pool: { code: 'ERR_POOL_ACQUIRE_TIMEOUT' } })
    expect(error.message).toMatch(
      /^14 UNAVAILABLE: No connection established: pool "grpc": no grpc resource within \d+ ms/,
    )
    expect(PoolError.is(error.cause, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    slow.cancel()
  })
})

describe('the promise form', () => {
  it('resolves and rejects as the callback would be called', async () => {
    const pool = poolOn(server)
    const metadata = new grpc.Metadata()
    metadata.add('x-test', 'two')
    expect(await pool.promises.unary({ text: 'hello' }, { metadata, timeoutMillis: 5_000 })).toMatchObject({
      text: 'hello',
      metadata: ['two'],
    })
    await expect(pool.promises.unary({ failCode: 9 })).rejects.toMatchObject({ code: 9 })
    await expect(pool.promises.unary({ sleepMillis: 5_000 }, { deadline: Date.now() + 50 })).rejects.toMatchObject({
      code: 4,
    })
    await expect(pool.promises.unary({ sleepMillis: 5_000 }, { timeoutMillis: 50 })).rejects.toMatchObject({ code: 4 })
  })

  it('rejects with the reason of its signal, while it runs and while it waits', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1 })
    await pool.ready()
    const reason = new Error('no longer wanted')
    const [first, second] = [new AbortController(), new AbortController()]
    const running = pool.promises.unary({ sleepMillis: 10_000 }, { signal: first.signal })
    const waiting = pool.promises.unary({}, { signal: second.signal, label: 'second', priority: 1 })
    expect(pool.stats().waiting).toBe(1)
    second.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    first.abort(reason)
    await expect(running).rejects.toBe(reason)
    await expect(pool.promises.unary({}, { signal: first.signal })).rejects.toBe(reason)
    expect(pool.stats()).toMatchObject({ leases: 0, waiting: 0 })
  })

  it('names its leases and serves by priority', async () => {
    const pool = poolOn(server, { max: 1, streamsPerChannel: 1 })
    await pool.ready()
    const labels: (string | undefined)[] = []
    pool.on('acquired', ({ label }) => labels.push(label))
    await Promise.all([
      pool.promises.unary({ sleepMillis: 50 }, { label: 'first' }),
      pool.promises.unary({}, { label: 'low' }),
      pool.promises.unary({}, { label: 'high', priority: 5 }),
    ])
    expect(labels).toEqual(['first', 'high', 'low'])
  })

  it('is no promise itself, and has no form for streams', async () => {
    const pool = poolOn(server)
    expect(await Promise.resolve(pool.promises)).toBe(pool.promises)
    expect(() => (pool.promises as unknown as { bidi: unknown }).bidi).toThrow(/streams; it has no promise form/)
    expect('unary' in pool.promises).toBe(true)
  })
})

describe('interceptors', () => {
  const marking: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.add('x-test', 'intercepted')
        next(metadata, listener)
      },
    })

  it('of the pool run once on each call', async () => {
    const pool = poolOn(server, { interceptors: [marking] })
    expect((await pool.promises.unary({})).metadata).toEqual(['intercepted'])
  })

  it('of a call run on it', async () => {
    const pool = poolOn(server)
    expect((await pool.promises.unary({}, { interceptors: [marking] })).metadata).toEqual(['intercepted'])
  })

  it('take no channel for a call that they answer themselves', async () => {
    const pool = poolOn(server)
    const cached: grpc.Interceptor = (options, nextCall) =>
      new grpc.InterceptingCall(nextCall(options), {
        start(_metadata, listener) {
          listener.onReceiveMetadata(new grpc.Metadata())
          listener.onReceiveMessage({ text: 'cached' })
          listener.onReceiveStatus({ code: grpc.status.OK, details: '', metadata: new grpc.Metadata() })
        },
        sendMessage: () => undefined,
        halfClose: () => undefined,
      })
    expect(await pool.promises.unary({}, { interceptors: [cached] })).toMatchObject({ text: 'cached' })
    expect(pool.stats()).toMatchObject({ requested: 0, created: 0 })
  })
})

describe('call credentials', () => {
  it('go with the call', async () => {
    const pool = poolOn(server)
    await pool.ready()
    const credentials = grpc.credentials.createFromMetadataGenerator((_options, callback) => {
      const metadata = new grpc.Metadata()
      metadata.add('x-test', 'token')
      callback(null, metadata)
    })
    await using secured = await startGrpc({ tls: true })
    const safe = poolOn(secured, {}, grpc.credentials.createSsl(secured.certificate()))
    expect((await safe.promises.unary({}, { credentials })).metadata).toEqual(['token'])
  })
})

describe('the async context', () => {
  /** Tells of everything that comes for a call. */
  const hearing =
    (note: () => void): grpc.Interceptor =>
    (options, nextCall) =>
      new grpc.InterceptingCall(nextCall(options), {
        start(metadata, _, next) {
          next(metadata, {
            onReceiveMetadata: (received, go: (metadata: grpc.Metadata) => void) => {
              note()
              go(received)
            },
            onReceiveMessage: (received: unknown, go: (message: unknown) => void) => {
              note()
              go(received)
            },
            onReceiveStatus: (received, go: (status: grpc.StatusObject) => void) => {
              note()
              go(received)
            },
          })
        },
      })

  it.each([
    ['waited', 1],
    ['found a channel', 10],
  ])(
    'of the caller is that of all that is called back, for calls of every kind that %s',
    async (_, streamsPerChannel) => {
      const pool = poolOn(server, { max: 1, streamsPerChannel })
      const storage = new AsyncLocalStorage<string>()
      const heard: Record<string, unknown[]> = {}
      const calling = (kind: string, begin: (note: () => void, done: () => void) => void): Promise<void> =>
        storage.run(
          kind,
          () =>
            new Promise((resolve) => {
              begin(() => void (heard[kind] ??= []).push(storage.getStore()), resolve)
            }),
        )
      await pool.ready()
      const holding = pool.promises.unary({ sleepMillis: 50 })
      const kinds = [
        calling('callback', (note, done) => {
          const call = pool.client.unary({}, () => {
            note()
            done()
          })
          call.on('metadata', note).on('status', note)
        }),
        calling('promise', (note, done) => {
          void pool.promises.unary({}, { interceptors: [hearing(note)] }).then(done)
        }),
        calling('server stream', (note, done) => {
          const call = pool.client.serverStream({ count: 2 })
          call.on('metadata', note).on('data', note).on('status', note)
          call.on('end', note).once('end', done)
        }),
        calling('client stream', (note, done) => {
          const call = pool.client.clientStream(() => {
            note()
            done()
          })
          call.on('metadata', note).on('status', note)
          call.write({ text: 'one' })
          call.end()
        }),
        calling('bidi', (note, done) => {
          const call = pool.client.bidi()
          call.on('metadata', note).on('data', note).on('status', note)
          call.on('end', note).once('end', done)
          call.write({ text: 'one' })
          call.end()
        }),
      ]
      expect(pool.stats()).toMatchObject(
        streamsPerChannel === 1 ? { leases: 1, waiting: 5 } : { leases: 6, waiting: 0 },
      )
      await Promise.all([holding, ...kinds])
      await waitFor(() => pool.stats().leases === 0, { what: 'all are over' })
      const times = { callback: 3, promise: 3, 'server stream': 5, 'client stream': 3, bidi: 4 }
      expect(heard).toEqual(
        Object.fromEntries(Object.entries(times).map(([kind, count]) => [kind, Array<string>(count).fill(kind)])),
      )
    },
  )
})
