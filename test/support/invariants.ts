import { engineOf, type Pool } from '../../src/core/pool.ts'
import { CLOSING, CREATING, IDLE, LEASED, MAINTAINING, ZOMBIE } from '../../src/core/lifecycle.ts'

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`)
}

/** What holds for every pool at every instant at which user code can look. */
export function checkInvariants<T>(pool: Pool<T>): void {
  const engine = engineOf(pool)
  const stats = pool.stats()
  const { inventory, options, sizes } = engine
  const entries = [...inventory.entries()]
  const inState = (state: number): number => entries.filter((entry) => entry.state === state).length

  const counts = { idle: stats.idle, used: stats.used, maintaining: stats.maintaining, closing: stats.closing }
  for (const [name, count] of Object.entries(stats)) {
    if (typeof count === 'number') assert(count >= 0, `${name} is ${count}`)
  }
  assert(
    inState(IDLE) === counts.idle &&
      inState(LEASED) === counts.used &&
      inState(MAINTAINING) === counts.maintaining &&
      inState(CLOSING) === counts.closing,
    'counts and lists differ',
  )
  assert(
    inState(CREATING) === stats.creating && inState(ZOMBIE) === stats.zombies,
    'creating or zombies differ from the list',
  )
  assert(
    stats.total === stats.idle + stats.used + stats.maintaining + stats.closing,
    'total is not the sum of its states',
  )

  const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
  assert(
    stats.created === stats.total + destroyed,
    `created ${stats.created} ≠ open ${stats.total} + destroyed ${destroyed}`,
  )
  const { requested, acquired, timedOut, aborted, refused, failed, waiting } = stats
  assert(
    requested === acquired + timedOut + aborted + refused + failed + waiting,
    `requested ${requested} ≠ ${acquired} + ${timedOut} + ${aborted} + ${refused} + ${failed} + ${waiting}`,
  )
  const leases = entries.reduce((sum, entry) => sum + entry.leases, 0)
  assert(leases === stats.leases, `leases ${stats.leases} ≠ ${leases} on the entries`)
  assert(
    entries.every((entry) => entry.leases === 0 || entry.state === LEASED),
    'a resource has leases but is not leased',
  )
  assert(
    entries.every((entry) => entry.leases <= options.maxLeasesPerResource),
    'a resource has more leases than it may',
  )
  const { available } = inventory
  const listed = entries.filter((entry) => entry.listed)
  assert(
    listed.length === available.size,
    `${listed.length} entries are listed as available, the list counts ${available.size}`,
  )
  const open = pool.state === 'open' || pool.state === 'suspended'
  for (const entry of entries) {
    const room =
      entry.state === IDLE ||
      (entry.state === LEASED && entry.leases < sizes.maxLeasesPerResource && entry.uses < options.maxUses)
    if (entry.listed) assert(room, `entry ${entry.id} is listed as available but has no room`)
    else if (open && room)
      assert(!inventory.sound(entry, engine.clock.now()), `entry ${entry.id} has room but is not listed`)
  }
  assert(stats.zombies <= options.maxConnecting * 2, 'too many zombies')
}

/** Also: what dispatch must have done by the time it ends. */
export function checkSettled<T>(pool: Pool<T>, now: number): void {
  const { inventory, queue, deadlines } = engineOf(pool)
  if (pool.state !== 'open' || queue.size === 0) return
  const waiter = queue.peek()
  if (waiter === undefined || !deadlines.serves(waiter)) return
  const entry = inventory.available.peek()
  if (entry === undefined) return
  const handable = inventory.sound(entry, now) && !inventory.needsValidation(entry, now)
  const prepares = engineOf(pool).options.hooks?.beforeAcquire !== undefined
  assert(!handable || prepares, 'somebody waits although a resource is free')
}

/** Checks the invariants after every dispatch of the pool; the first broken one fails the test through `failure`. */
export function watchInvariants<T>(pool: Pool<T>): { failure: Error | undefined } {
  const engine = engineOf(pool)
  const watch: { failure: Error | undefined } = { failure: undefined }
  const changed = engine.changed.bind(engine)
  let depth = 0
  engine.changed = () => {
    depth++
    changed()
    depth--
    if (depth > 0 || watch.failure !== undefined) return
    try {
      checkInvariants(pool)
      checkSettled(pool, engine.clock.now())
    } catch (error) {
      watch.failure = error as Error
    }
  }
  return watch
}
