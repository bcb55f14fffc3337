import { OptionError } from '../../core/errors.ts'
import { isClient, isConnection, isMongoose, type DriverClient, type MongoSource } from './driver.ts'
import { MongoView, type MongoViewOptions } from './mongo-view.ts'

const views = new WeakMap<DriverClient, MongoView>()

/**
 * A view on the pools of a `MongoClient`, or of a mongoose connection: statistics, health, events, slow commands, what
 * was left open, and an orderly close. The driver goes on pooling by itself; nothing of its behaviour changes until the
 * view is closed. The same client gives the same view.
 *
 * ```ts
 * await mongoose.connect(uri, mongoOptions({ max: 20, min: 2 }))
 * const pool = observeMongo(mongoose)
 * console.log(pool.stats())
 * ```
 *
 * @param source - a `MongoClient`, a connection of mongoose, or mongoose itself, whose default connection is meant
 * @throws {OptionError} on anything else, on a connection that was never opened, and on a wrong or misspelt option
 */
export function observeMongo(source: MongoSource, options: MongoViewOptions = {}): MongoView {
  const name = typeof options.name === 'string' ? options.name : 'mongodb'
  const owner = isMongoose(source) ? source.connection : source
  const client: unknown = isConnection(owner) ? owner.getClient() : owner
  if (isConnection(owner) && client === undefined)
    throw new OptionError(
      name,
      'source',
      'The connection of mongoose was never opened: call mongoose.connect(…) first, then observeMongo(…), which need not wait for it',
    )
  if (!isClient(client))
    throw new OptionError(name, 'source', 'Expected a MongoClient, a connection of mongoose, or mongoose itself')
  const known = views.get(client)
  if (known !== undefined && known.state !== 'closed') return known
  const view = new MongoView(client, isConnection(owner) ? owner : client, options)
  views.set(client, view)
  return view
}
