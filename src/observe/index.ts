export { observe } from './observe.ts'
export type { ObserveOptions } from './options.ts'
export type { ForeignPool } from '../core/foreign-pool.ts'
