import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/** The classes of bugs that the best pools of other languages had in production, and where. The tests carry their numbers. */
const CLASSES = {
  B1: 'a hung create blocks all creates (HikariCP #1474, #2274, #2255, #1819, #2161)',
  B2: 'a hung close, run by the caller, exceeds the acquire timeout (HikariCP #607)',
  B3: 'a keep-alive fails and nothing is refilled (HikariCP #1819)',
  B4: 'a cancelled acquire cancels the dial, which ends in a storm of connects (pgx #1259, sqlx #3132)',
  B5: 'a pool comes to a stand under latency and cancels (pgx #1354)',
  B6: 'creates run away (pgx #1780)',
  B7: 'a resource goes to a waiter who has expired (Vitess #20308)',
  B8: 'a connection is idle while somebody waits (Vitess #17675, sqlx #622, commons-pool)',
  B9: 'capacity is freed and no waiter is woken (commons-pool, Npgsql)',
  B10: 'a woken waiter is robbed (mysql_async #212, bb8)',
  B11: 'waiters are served at random, the unluckiest without a bound (Go database/sql #31708)',
  B12: 'a cancel during a check, a rollback or a connect loses a slot (psycopg #1123, #1208, #1275, #509)',
  B13: 'a counter underflows, or is published in the wrong order (sqlx, seen by RisingWave #24991)',
  B14: 'I/O on the way back has no bound and leaks a permit (sqlx #4349)',
  B15: 'the reaper reconnects, and stalls everybody with it (Vitess #17757, #20079)',
  B16: 'last in, first out unbalances a tier of proxies (go-redis #1819)',
  B17: 'clearing a paused pool does not count, or tells twice (the rationale of MongoDB’s CMAP specification)',
}

it('each class of bugs of other pools has a test that carries its number', () => {
  const folder = new URL('.', import.meta.url)
  const tests = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts') && name !== 'classes.test.ts')
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n')
  const tested = new Set([...tests.matchAll(/['"](B\d+): /g)].map(([, name]) => name))
  expect([...tested].sort()).toEqual(Object.keys(CLASSES).sort())
})
