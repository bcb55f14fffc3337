import { partsOf, type MysqlModule } from './driver.ts'
import { mysqlPool } from './mysql-pool.ts'
import type { MysqlFaceOptions } from './options.ts'

/**
 * The user's own `mysql2` module, except that its `createPool` makes a pool of ours: for libraries that make their pool
 * by themselves from a driver that they are given, such as TypeORM (`driver: mysqlDriver(mysql2)`).
 *
 * @param defaults - options of every pool that is made through it, under those that the library gives
 */
export function mysqlDriver<M extends MysqlModule>(mysql: M, defaults: MysqlFaceOptions = {}): M {
  // A wrong module is told of here, not at the library's first query.
  partsOf(mysql)
  const createPool = (options: string | object): unknown => {
    const asked = typeof options === 'string' ? { uri: options } : options
    // What a library passes on as undefined was not given.
    const given = Object.entries(asked).filter(([, value]) => value !== undefined)
    return mysqlPool(mysql, { ...defaults, ...Object.fromEntries(given) } as never)
  }
  return new Proxy(mysql, {
    get: (target, property): unknown =>
      property === 'createPool' ? createPool : Reflect.get(target, property, target),
  })
}
