import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, startGrpc, waitFor, type GrpcServer } from '@millpond/rig'
import { closePools, keepCalling, poolOn, type EchoReply } from '../support/grpc.ts'
import { expectSteered } from '../support/steering.ts'

let server: GrpcServer
beforeAll(async () => {
  server = await startGrpc({ maxConcurrentStreams: 100 })
})
afterEach(async () => {
  await closePools()
  await server.reset()
})
afterAll(async () => {
  await server.stop()
})

describe('channels', () => {
  it('have a connection each, and are filled up to the watermark, not to the server’s limit', async () => {
    const pool = poolOn(server)
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: 500 }, () => pool.promises.unary({ sleepMillis: 1_000 })))
    const view = await server.view()
    expect(view.peers).toHaveLength(7) // ⌈500 / 80⌉
    expect(view.mostActivePerConnection).toBeLessThanOrEqual(80)
    expect(view.mostActive).toBe(500)
    // On one connection, five rounds of 100 take 5 s.
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    expect(pool.stats()).toMatchObject({ created: 7, leases: 0, idle: 7, timedOut: 0 })
  })

  it('are steered from the dashboard', async () => {
    const pool = poolOn(server)
    const hold = (): Promise<unknown> => pool.promises.unary({ sleepMillis: 60_000 })
    await expectSteered({ pool, use: () => pool.promises.unary({}), hold })
  })

  it('get the next call where the fewest run', async () => {
    const pool = poolOn(server, { max: 2, min: 2, streamsPerChannel: 10 })
    await pool.ready()
    const calls = Array.from({ length: 8 }, () => pool.promises.unary({ sleepMillis: 50 }))
    const peers = (await Promise.all(calls)).map(({ peer }) => peer)
    const [first] = peers
    expect(peers.filter((peer) => peer === first)).toHaveLength(4)
  })

  it('are no more than `maxChannels`; then calls wait in the pool, in order', async () => {
    const pool = poolOn(server, { maxChannels: 2, streamsPerChannel: 5 })
    const calls = Array.from({ length: 30 }, () => pool.promises.unary({ sleepMillis: 20 }))
    expect(pool.stats().waiting).toBe(30)
    await Promise.all(calls)
    expect(await server.view()).toMatchObject({ mostActive: 10, mostActivePerConnection: 5 })
    expect(pool.stats()).toMatchObject({ created: 2, max: 2 })
  })

  it('are closed when they have been idle, down to `min`', async () => {
    const pool = poolOn(server, { min: 1, streamsPerChannel: 1, idleTimeoutMillis: 100 })
    await Promise.all(Array.from({ length: 4 }, () => pool.promises.unary({ sleepMillis: 20 })))
    expect(pool.stats().idle).toBe(4)
    await waitFor(() => pool.stats().total === 1, { what: 'the surplus is closed' })
    expect(pool.stats().destroyed.idle).toBe(3)
    await pool.promises.unary({})
    expect(pool.stats().created).toBe(4)
  })

  it('are replaced at their age under load, without a failed call, while long streams end on the old ones', async () => {
    const pool = poolOn(server, { max: 2, maxLifetimeMillis: 200, streamsPerChannel: 20 })
    const stream = pool.client.bidi()
    const texts: string[] = []
    stream.on('data', ({ text }: EchoReply) => texts.push(text))
    stream.write({ text: 'first' })
    const load = keepCalling(pool, 10)
    await waitFor(() => pool.stats().destroyed.lifetime >= 4, { what: 'channels are replaced' })
    stream.write({ text: 'last' })
    await waitFor(() => texts.length === 2, { what: 'the stream still works' })
    stream.end()
    await once(stream, 'end')
    await load.stop()
    expect(load.failures).toEqual([])
    expect(load.succeeded).toBeGreaterThan(20)
    expect(texts).toEqual(['first', 'last'])
  })

  it('get no more calls than the server allows on a connection, where that is fewer than the watermark', async () => {
    await using strict = await startGrpc({ maxConcurrentStreams: 10 })
    const pool = poolOn(strict, { max: 3 })
    await pool.ready()
    expect(pool.core.options.maxLeasesPerResource).toBe(10)
    const calls = Array.from({ length: 50 }, () => pool.promises.unary({ sleepMillis: 200 }))
    await waitFor(() => pool.stats().leases === 30, { what: 'three channels are full' })
    expect(pool.stats()).toMatchObject({ waiting: 20, used: 3 })
    await Promise.all(calls)
    expect((await strict.view()).mostActivePerConnection).toBe(10)
  })
})

describe('a server that says goodbye', () => {
  it('ends no call that runs, and keeps none from beginning, even with one channel', async () => {
    const pool = poolOn(server, { max: 1 })
    const slow = pool.promises.unary({ text: 'slow', sleepMillis: 600 })
    await waitFor(async () => (await server.view()).active === 1, { what: 'the call runs' })
    await server.drain()
    await waitFor(() => pool.client.getChannel().getConnectivityState(false) !== grpc.connectivityState.READY, {
      what: 'the pool has heard of it',
    })
    const next = await pool.promises.unary({ text: 'next' })
    expect(next.text).toBe('next')
    const ended = await slow
    expect(ended.text).toBe('slow')
    expect(ended.peer).not.toBe(next.peer)
    await waitFor(() => pool.stats().total === 1, { what: 'the old channel is closed' })
    expect(pool.stats().destroyed.lost).toBe(1)
  })

  it('again and again under load fails no call', async () => {
    const pool = poolOn(server, { streamsPerChannel: 10 })
    const load = keepCalling(pool, 40)
    for (let round = 0; round < 8; round++) {
      const isOpen = (): boolean => pool.stats().created > pool.stats().destroyed.lost
      await waitFor(isOpen, { what: 'there is one to say goodbye to' })
      const { lost } = pool.stats().destroyed
      await server.drain()
      await waitFor(() => pool.stats().destroyed.lost > lost, { what: 'a channel was replaced' })
    }
    await waitFor(() => load.succeeded > 100, { what: 'calls succeed' })
    await load.stop()
    expect(load.failures).toEqual([])
    expect(pool.stats().destroyed.lost).toBeGreaterThanOrEqual(8)
  })

  it('to connections of a certain age fails no call', async () => {
    await using aging = await startGrpc({ maxConnectionAgeMillis: 150, maxConnectionAgeGraceMillis: 5_000 })
    const pool = poolOn(aging, { streamsPerChannel: 5 })
    const load = keepCalling(pool, 10, 5)
    await waitFor(() => pool.stats().destroyed.lost >= 4, { what: 'connections have aged' })
    await load.stop()
    expect(load.failures).toEqual([])
  })

  it('and goes down in order finishes what runs, and the pool comes back with it', async () => {
    await using going = await startGrpc()
    const pool = poolOn(going, { retry: {} })
    const slow = pool.promises.unary({ text: 'slow', sleepMillis: 300 })
    await waitFor(async () => (await going.view()).active === 1, { what: 'the call runs' })
    const ended = going.shutdown()
    expect((await slow).text).toBe('slow')
    await ended
    const waiting = pool.promises.unary({ text: 'next' }, { timeoutMillis: 10_000 })
    await sleep(200)
    await going.start()
    expect((await waiting).text).toBe('next')
  })
})

describe('closing', () => {
  it('lets calls end within the grace time, and takes no new ones', async () => {
    const pool = poolOn(server)
    await pool.ready()
    const slow = pool.promises.unary({ text: 'slow', sleepMillis: 100 })
    const closed = pool.close()
    await expect(pool.promises.unary({})).rejects.toThrow(/^Channel has been shut down/)
    expect(() => pool.client.unary({}, () => undefined)).toThrow(/^Channel has been shut down/)
    expect((await slow).text).toBe('slow')
    expect(await closed).toMatchObject({ closed: 1, forced: 0 })
    expect(pool.client.getChannel().getConnectivityState(false)).toBe(4)
  })

  it('cancels what is left after it', async () => {
    const pool = poolOn(server)
    await pool.ready()
    const slow = pool.promises.unary({ sleepMillis: 10_000 }).catch((error: unknown) => error)
    const stream = pool.client.serverStream({ sleepMillis: 50, count: 1_000 })
    stream.resume()
    const failed = once(stream, 'error')
    const report = await pool.close({ timeoutMillis: 50 })
    // Both ran on the same channel.
    expect(report.forced).toBe(1)
    expect(await slow).toMatchObject({ code: 14 })
    expect((await failed)[0]).toMatchObject({ code: 14 })
    await waitFor(async () => (await server.view()).active === 0, { what: 'the server has heard of it' })
  })

  it('is what `client.close()` does', async () => {
    const pool = poolOn(server)
    await pool.promises.unary({})
    pool.client.close()
    expect(pool.state).toBe('closing')
    await waitFor(() => pool.state === 'closed', { what: 'the pool is closed' })
  })
})

describe('the client’s channel', () => {
  it('becomes ready, for those who wait for it', async () => {
    const pool = poolOn(server)
    expect(pool.client.getChannel().getConnectivityState(false)).toBe(0)
    await new Promise<void>((resolve, reject) => {
      pool.client.waitForReady(Date.now() + 5_000, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
    expect(pool.client.getChannel().getConnectivityState(false)).toBe(2)
    expect(pool.client.getChannel().getTarget()).toBe(server.target)
    expect(pool.stats()).toMatchObject({ idle: 1 })
  })

  it('tells who waits too long', async () => {
    const pool = poolOn({ target: '127.0.0.1:1' })
    const error = await new Promise((resolve) => pool.client.waitForReady(Date.now() + 100, resolve))
    expect(error).toMatchObject({ message: 'Failed to connect before the deadline' })
  })
})

describe('`use`', () => {
  it('keeps calls on one connection, and counts as one stream', async () => {
    const pool = poolOn(server, { streamsPerChannel: 1 })
    const peers = await pool.use(async (client) => {
      const one = (): Promise<EchoReply | undefined> =>
        new Promise((resolve) => client.unary({}, (_error, reply) => resolve(reply)))
      expect(pool.stats().leases).toBe(1)
      return [await one(), await one()].map((reply) => reply?.peer)
    })
    expect(peers[0]).toBe(peers[1])
    expect(pool.stats()).toMatchObject({ leases: 0, acquired: 1 })
  })
})
