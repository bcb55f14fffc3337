import { expect, it } from 'vitest'
import { mongoOptions, observeMongo } from 'millpond/mongodb'

it('Millpond’s names become the driver’s, and what the driver leaves open is bounded', () => {
  expect(mongoOptions({ max: 20, min: 2 })).toEqual({
    maxPoolSize: 20,
    minPoolSize: 2,
    waitQueueTimeoutMS: 30_000,
    maxIdleTimeMS: 600_000,
  })
  expect(mongoOptions()).toEqual({ waitQueueTimeoutMS: 30_000, maxIdleTimeMS: 600_000 })
  expect(mongoOptions({ acquireTimeoutMillis: 500, createTimeoutMillis: 2_000, maxConnecting: 4 })).toEqual({
    waitQueueTimeoutMS: 500,
    connectTimeoutMS: 2_000,
    maxConnecting: 4,
    maxIdleTimeMS: 600_000,
  })
})

it('Infinity is the driver’s 0', () => {
  expect(mongoOptions({ max: Infinity, acquireTimeoutMillis: Infinity, idleTimeoutMillis: Infinity })).toEqual({
    maxPoolSize: 0,
    waitQueueTimeoutMS: 0,
    maxIdleTimeMS: 0,
  })
})

it('options of the driver and of mongoose are passed on, and keep their meaning', () => {
  const given = { maxPoolSize: 7, waitQueueTimeoutMS: 0, maxIdleTimeMS: 5, retryWrites: true, bufferCommands: false }
  expect(mongoOptions(given)).toEqual(given)
})

it('what the connection string says is left to it', () => {
  const uri = 'mongodb://ada:secret@a:1,b:2/shop?maxIdleTimeMS=5000&WaitQueueTimeoutMS=100'
  expect(mongoOptions({ max: 3 }, uri)).toEqual({ maxPoolSize: 3 })
})

it.each<[options: object, message: RegExp]>([
  [{ max: 5, maxPoolSize: 5 }, /`maxPoolSize` and `max` are two names for one thing/],
  [{ acquireTimeoutMillis: 5, waitQueueTimeoutMS: 5 }, /two names for one thing/],
  [{ max: 0 }, /Expected `max` to be an integer ≥ 1 or Infinity, got 0/],
  [{ max: '20' }, /Expected `max` to be an integer ≥ 1 or Infinity, got '20' \(string\)/],
  [{ min: 5, max: 2 }, /Expected `min` to be at most `max` \(2\), got 5/],
  [{ min: 200 }, /at most `max` \(100\)/],
  [{ acquireTimeoutMillis: 0 }, /> 0 or Infinity, got 0/],
  [{ poolSize: 5 }, /`poolSize` is no option of the driver any more: use `max`/],
  [{ useNewUrlParser: true }, /leave it out/],
  [{ bufferMaxEntries: 0 }, /bufferCommands/],
  [{ maxLifetimeMillis: 5 }, /has nothing like `maxLifetimeMillis`/],
  [{ leakThresholdMillis: 5 }, /belongs to the view: observeMongo\(client, \{ leakThresholdMillis \}\)/],
  [{ acquireTimeoutMilis: 5 }, /did you mean `acquireTimeoutMillis`/],
])('%j is refused', (options, message) => {
  let error: unknown
  try {
    mongoOptions(options)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'ERR_POOL_OPTION', message: expect.stringMatching(message) as string })
})

it('what is no client is refused, and says what is wanted', () => {
  expect(() => observeMongo({} as never)).toThrow(
    /Expected a MongoClient, a connection of mongoose, or mongoose itself/,
  )
  expect(() => observeMongo(undefined as never)).toThrow(/Expected a MongoClient/)
})
