import type { PgModule } from './driver.ts'
import type { PgFaceOptions } from './options.ts'
import { pgPoolClass } from './pg-pool.ts'

/**
 * The user's own `pg` module, except that its `Pool` is Millpond's: for libraries that make their pool by themselves
 * from a driver that they are given, such as TypeORM (`driver: pgDriver(pg)`) or @fastify/postgres (`pg: pgDriver(pg)`).
 *
 * @param defaults - options of every pool that is made through it, under those that the library gives
 */
export function pgDriver<P extends PgModule>(pg: P, defaults: PgFaceOptions = {}): P {
  const Class = pgPoolClass(pg)
  class Pool extends Class {
    constructor(options: object = {}) {
      // What a library passes on as undefined was not given.
      const given = Object.entries(options).filter(([, value]) => value !== undefined)
      super({ ...defaults, ...Object.fromEntries(given) })
    }
  }
  return new Proxy(pg, {
    get(target, property): unknown {
      if (property === 'Pool') return Pool
      // TypeORM takes the native driver, and its own pool, wherever it finds one.
      if (property === 'native') return undefined
      return Reflect.get(target, property, target)
    },
  })
}
