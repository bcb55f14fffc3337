import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startMongoWire, waitFor, type MongoWireServer } from '@millpond/rig'
import { clientOn, closeClients, DRIVERS, expectTruth, SECRET, sleepOn, USERS } from '../support/mongo.ts'

let server: MongoWireServer
beforeAll(async () => {
  server = await startMongoWire({ users: USERS, replicaSet: 'rig' })
})
afterAll(async () => {
  await server.stop()
})
afterEach(async () => {
  server.resume()
  await server.start()
  await server.limitConnections(Infinity)
  await closeClients()
})

describe.each(DRIVERS)('faults, with the %s driver', (_, Client) => {
  it('a server that is killed and starts again is told once, however often the driver tries', async () => {
    const { client, view } = clientOn(server, {}, { Client })
    const told: string[] = []
    let tries = 0
    view.on('paused', ({ failure }) => told.push(`paused: ${failure}`))
    view.on('resumed', ({ attempts }) => told.push(`resumed: ${attempts > 0}`))
    client.on('serverHeartbeatFailed', () => tries++)
    await sleepOn(client, 1)
    await server.kill()
    await waitFor(() => tries >= 3, { what: 'the driver has tried three times' })
    expect(view.state).toBe('paused')
    expect(await view.health()).toMatchObject({ status: 'fail', message: 'Server cannot be reached' })
    expect(expectTruth(view, client).used).toBe(0)
    await server.start()
    await waitFor(() => view.state === 'open', { what: 'it is back' })
    await sleepOn(client, 1)
    expect(told).toEqual([expect.stringMatching(/^paused: (restart|disconnect)$/), 'resumed: true'])
    expectTruth(view, client)
    expect((await view.health()).status).toBe('pass')
  })

  it('a server that is silent fails the check in time, and does not keep close waiting for ever', async () => {
    const { client, view } = clientOn(server, { serverMonitoringMode: 'poll', connectTimeoutMS: 1_000 }, { Client })
    await sleepOn(client, 1)
    server.pause()
    const answer = await view.health({ timeoutMillis: 200 })
    expect(answer.status).toBe('fail')
    expect(answer.durationMillis).toBeLessThan(5_000)
    const report = await view.close({ timeoutMillis: 50 })
    expect(report.pool).toBe('mongodb')
    expect(view.stats().total).toBe(0)
  })

  it('what runs on a server that is silent ends by its deadline, and so does whoever waits behind it', async () => {
    const { client, view } = clientOn(
      server,
      { maxPoolSize: 1, waitQueueTimeoutMS: 300, socketTimeoutMS: 1_000, retryReads: false },
      { Client },
    )
    const nameOf = (error: Error): string => error.name
    await sleepOn(client, 1)
    server.pause()
    const running = sleepOn(client, 1).catch(nameOf)
    await waitFor(() => view.stats().used === 1, { what: 'it is sent' })
    const waiting = sleepOn(client, 1).catch(nameOf)
    await waitFor(() => view.stats().waiting === 1, { what: 'one waits' })
    expect(await waiting).toBe('MongoWaitQueueTimeoutError')
    expect(await running).toBe('MongoNetworkTimeoutError')
    expect(expectTruth(view, client)).toMatchObject({ used: 0, waiting: 0, timedOut: 1 })
    server.resume()
    await waitFor(async () => (await sleepOn(client, 1)) !== undefined, { what: 'it works again' })
    expectTruth(view, client)
  })

  it('a server that refuses the login says so in its health, and shows no password', async () => {
    const wrong = { uri: () => server.uri({ password: 'a-wrong-password' }) }
    const { client, view } = clientOn(wrong, { serverSelectionTimeoutMS: 1_000 }, { Client })
    const error = await sleepOn(client, 1).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 18 })
    expect(await view.health()).toMatchObject({ status: 'fail', message: 'The server does not accept the login' })
    const shown = inspect([error, view, view.stats(), await view.health()], { depth: 12, showHidden: true })
    expect(shown).not.toContain('a-wrong-password')
    expect(shown).not.toContain(SECRET)
    expectTruth(view, client)
  })

  it('a server that takes no more connections costs those that it has none', async () => {
    const { client, view } = clientOn(server, { maxPoolSize: 10 }, { Client })
    await sleepOn(client, 1)
    await server.limitConnections((await server.view()).connections)
    await Promise.allSettled(Array.from({ length: 5 }, () => sleepOn(client, 20)))
    await waitFor(() => view.stats().creating === 0, { what: 'nothing is being opened' })
    const stats = expectTruth(view, client)
    expect(stats.createErrors).toBeGreaterThan(0)
    await server.limitConnections(1_000)
    await waitFor(async () => (await view.health()).status === 'pass', { what: 'it works again' })
    expectTruth(view, client)
  })

  it('a primary that steps down loses no count, and a write is repeated', async () => {
    const { client, view } = clientOn(server, {}, { Client })
    const orders = client.db('shop').collection('orders')
    await orders.insertOne({ n: 1 })
    await server.reset()
    await server.stepDown()
    const write = orders.insertOne({ n: 2 })
    await waitFor(async () => ((await server.view()).commands['insert'] ?? 0) >= 1, { what: 'it was tried' })
    await server.stepUp()
    expect((await write).acknowledged).toBe(true)
    expect(expectTruth(view, client)).toMatchObject({ used: 0, waiting: 0 })
  })
})
