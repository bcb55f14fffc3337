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
      super({ ...defaults, ...options })
    }
  }
  return new Proxy(pg, {
    get: (target, property) => (property === 'Pool' ? Pool : (Reflect.get(target, property, target) as unknown)),
  })
}
