/** Compiled, never run: what users of `millpond/observe` see, whatever they hand in. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { HttpAgent as KeepAliveAgent } from 'agentkeepalive'
import { createPool as createGenericPool } from 'generic-pool'
import knex from 'knex'
import { MongoClient } from 'mongodb'
import mongoose from 'mongoose'
import mysql from 'mysql2'
import mysqlPromise from 'mysql2/promise'
import pg from 'pg'
import { Pool as TarnPool } from 'tarn'
import { Agent, BalancedPool, Client, Pool, getGlobalDispatcher } from 'undici'
import { PoolRegistry, type CloseReport, type HealthCheck, type ManagedPool, type PoolStats } from 'millpond'
import {
  observe,
  type ForeignPool,
  type ObservedOrigins,
  type ObserveOptions,
  type OriginStats,
} from 'millpond/observe'
import { pgPool } from 'millpond/pg'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ']): void => undefined

export function takesEveryKind(): ManagedPool[] {
  const factory = { create: () => Promise.resolve({}), destroy: () => Promise.resolve() }
  const views: ForeignPool[] = [
    observe(new pg.Pool()),
    observe(mysql.createPool({})),
    observe(mysqlPromise.createPool({})),
    observe(knex({ client: 'pg' })),
    observe(new TarnPool({ ...factory, min: 0, max: 1 })),
    observe(createGenericPool(factory, { max: 1 })),
    observe(new MongoClient('mongodb://127.0.0.1')),
    observe(mongoose),
    observe(mongoose.connection),
  ]
  const registry = new PoolRegistry()
  return views.map((view) => registry.register(view, { required: true }))
}

export function knowsOriginsOfHttp(): ObservedOrigins[] {
  const views = [
    observe(new HttpAgent({ keepAlive: true })),
    observe(new HttpsAgent()),
    observe(new KeepAliveAgent()),
    observe(new Agent()),
    observe(new Pool('http://127.0.0.1')),
    observe(new BalancedPool(['http://127.0.0.1'])),
    observe(new Client('http://127.0.0.1')),
    observe(getGlobalDispatcher()),
    observe(fetch),
  ]
  for (const view of views) {
    same<ReturnType<typeof view.origins>, Readonly<Record<string, OriginStats>>>()
    for (const [origin, part] of view.parts())
      same<[typeof origin, ReturnType<typeof part.stats>], [string, OriginStats]>()
  }
  return views
}

export function givesOursBack(): unknown {
  const own = pgPool(pg, {})
  const seen = observe(own)
  same<typeof seen, typeof own>()
  return seen
}

export async function watchesAndEnds(): Promise<void> {
  const options: ObserveOptions = { name: 'legacy', slowMillis: 500, leakThresholdMillis: 30_000, trackStacks: true }
  const view = observe(new pg.Pool(), options)
  view.on('leak', ({ heldMillis, stack }) => {
    same<[typeof heldMillis, typeof stack], [number, string | undefined]>()
  })
  same<ReturnType<typeof view.stats>, PoolStats>()
  same<Awaited<ReturnType<typeof view.health>>, HealthCheck>()
  same<Awaited<ReturnType<typeof view.close>>, CloseReport>()
  view.detach()
  await view[Symbol.asyncDispose]()
}

export function refuses(): void {
  // @ts-expect-error: no such option
  observe(new pg.Pool(), { naem: 'legacy' })
  // @ts-expect-error: a number of milliseconds
  observe(new pg.Pool(), { slowMillis: '1s' })
  // @ts-expect-error: a text is no pool
  observe('postgres://localhost')
  // @ts-expect-error: only HTTP has origins
  observe(new pg.Pool()).origins()
  // @ts-expect-error: no such event
  observe(new pg.Pool()).on('leek', () => undefined)
}
