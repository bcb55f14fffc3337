/** A number of connections that a formula gives, and what to know of it. */
export interface FormulaResult {
  /** Connections, a whole number ≥ 1; for the whole server where a formula is about the server. */
  readonly connections: number
  /** The formula with the numbers in it. */
  readonly shown: string
  readonly source: string
  /** Where it does not hold. */
  readonly limits: string
}

const WIKI = 'PostgreSQL wiki, "Number Of Database Connections"; HikariCP, "About Pool Sizing"'

function positive(name: string, value: number, zero = false): number {
  if (!Number.isFinite(value) || value < 0 || (!zero && value === 0))
    throw new RangeError(`Expected \`${name}\` to be a number ${zero ? '≥ 0' : '> 0'}, got ${value}`)
  return value
}

const round = (value: number): number => Math.round(value * 100) / 100

/**
 * `max = cores × 2 + effective disks`: how many connections at work keep a database server busy.
 *
 * It is about the server and all its clients together, not about one process; from the time of spinning disks (a
 * server whose data is cached has 0); and it knows nothing of time that transactions spend outside the server. A point
 * to start load tests from.
 *
 * @param cores - of the database server, hyper-threads not counted
 * @param disks - effective spindles; 0 where the data is cached. @defaultValue 1
 * @throws {RangeError} on a number that is none
 */
export function fromCores(cores: number, disks = 1): FormulaResult {
  positive('cores', cores)
  positive('disks', disks, true)
  return {
    connections: Math.max(1, Math.floor(cores * 2 + disks)),
    shown: `${cores} cores × 2 + ${disks} disks`,
    source: WIKI,
    limits: 'for the whole server, all clients together; from the time of spinning disks; a start for load tests',
  }
}

/**
 * `max = cores × (1 + wait / service)`: how many keep the cores busy when each is held for `wait` while the cores do
 * something else, and for `service` while they work on it.
 *
 * For a pool, the cores are those of the *server*, `wait` is the time of a lease in which the server has nothing to do
 * (network, the program's own work), and `service` its time on a core. One bottleneck, no contention.
 *
 * @param cores - of the server
 * @param wait - in any unit
 * @param service - in the same unit
 * @throws {RangeError} on a number that is none
 */
export function fromWaiting(cores: number, wait: number, service: number): FormulaResult {
  positive('cores', cores)
  positive('wait', wait, true)
  positive('service', service)
  return {
    connections: Math.max(1, Math.round(cores * (1 + wait / service))),
    shown: `${cores} cores × (1 + ${round(wait)} / ${round(service)})`,
    source: 'Goetz et al., "Java Concurrency in Practice", §8.2; also cores / (1 − blocking coefficient), Subramaniam',
    limits: 'cores of the server; one bottleneck and no contention; the wait is what the server is not busy with',
  }
}

/** `min = max / 4`, at least 1: what is kept open for the next burst. A habit, not a result. */
export function minFor(max: number): number {
  return Math.max(1, Math.round(positive('max', max) / 4))
}

/**
 * Little's law, `L = λ · S`: the mean number of connections at work. Exact for any arrivals and any times, but a mean: a
 * pool of this size would be busy all the time and its queue would grow without bound.
 *
 * @param ratePerSecond - leases asked for in a second
 * @param useMillis - mean time of a lease, in milliseconds
 * @returns Erlangs, also called the offered load
 * @see Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9 (1961)
 * @throws {RangeError} on a number that is none
 */
export function offeredLoad(ratePerSecond: number, useMillis: number): number {
  return (positive('ratePerSecond', ratePerSecond, true) * positive('useMillis', useMillis, true)) / 1_000
}

/**
 * Little's law as a size: what is at work on average, rounded up. A pool below it can never serve what is asked of it, and one of just
 * this size queues without bound.
 *
 * @param ratePerSecond - leases asked for in a second
 * @param useMillis - mean time of a lease, in milliseconds
 * @throws {RangeError} on a number that is none
 */
export function fromLittle(ratePerSecond: number, useMillis: number): FormulaResult {
  const load = offeredLoad(ratePerSecond, useMillis)
  return {
    connections: Math.max(1, Math.ceil(load)),
    shown: `${round(ratePerSecond)}/s × ${round(useMillis)} ms = ${round(load)} at work`,
    source: 'Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9 (1961)',
    limits: 'a mean: a pool of this size is busy all the time, and its queue grows without bound',
  }
}

/**
 * `max ≥ tasks × (held − 1) + 1`: fewer can deadlock when each of so many tasks takes several connections of one pool,
 * one after the other, while it holds those before. A floor, not a good size. In Node the tasks are requests, and
 * nothing bounds these: take one connection and pass it on instead.
 *
 * @param tasks - at the same time
 * @param held - the most connections that one of them holds at once
 * @see HikariCP, "About Pool Sizing", pool-locking
 * @throws {RangeError} on a number that is none
 */
export function lockFloor(tasks: number, held: number): FormulaResult {
  positive('tasks', tasks)
  positive('held', held)
  return {
    connections: Math.ceil(tasks * (held - 1) + 1),
    shown: `${tasks} tasks × (${held} held − 1) + 1`,
    source: 'HikariCP, "About Pool Sizing", § Pool-locking',
    limits: 'a floor that cannot deadlock, not a good size; unbounded where nothing bounds the tasks',
  }
}

/**
 * `max = ⌊(limit − reserved) / instances⌋`: what one process may open so that all of them fit into the server.
 *
 * @param limit - of the server: PostgreSQL's and MySQL's `max_connections`, Redis' `maxclients`
 * @param instances - processes with a pool like this one, also those of a deployment under way
 * @param reserved - for superusers, migrations, backups, other programs. @defaultValue 3, as PostgreSQL keeps
 * @throws {RangeError} on a number that is none
 */
export function budgetFor(limit: number, instances: number, reserved = 3): FormulaResult {
  positive('limit', limit)
  positive('instances', instances)
  positive('reserved', reserved, true)
  return {
    connections: Math.max(0, Math.floor((limit - reserved) / instances)),
    shown: `(${limit} − ${reserved}) / ${instances} instances`,
    source: 'arithmetic; PostgreSQL, `superuser_reserved_connections`',
    limits: 'an even split; what is idle here cannot be used there',
  }
}
