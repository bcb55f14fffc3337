import { expect } from 'vitest'
import { waitFor } from '@millpond/rig'
import { PoolRegistry, type ManagedPool } from 'millpond'
import { dashboard, type ActionName, type PoolDetail } from 'millpond/dashboard'

/** What is needed of a pool to see that it can be steered. */
export interface Steered {
  readonly pool: ManagedPool
  /** Gets a connection for a moment. */
  readonly use: () => Promise<unknown>
  /** Gets one for a long time; rejects when that is taken away. */
  readonly hold: () => Promise<unknown>
}

/** The page of one pool, as the page's own scripts use it. */
export class Desk implements Disposable {
  readonly #page: ReturnType<typeof dashboard>
  readonly #key: string

  constructor(pool: ManagedPool) {
    const registry = new PoolRegistry()
    registry.register(pool)
    this.#key = `here/${pool.name}`
    this.#page = dashboard(registry, { enabled: true, instance: 'here', actions: true, audit: () => undefined })
  }

  async see(): Promise<PoolDetail> {
    const request = new Request(`http://127.0.0.1/pool?key=${encodeURIComponent(this.#key)}`)
    return (await (await this.#page(request)).json()) as PoolDetail
  }

  /** Takes an action, and gives what the page would say. */
  async act(action: ActionName, details: object = {}): Promise<string> {
    const answer = await this.#page(
      new Request('http://127.0.0.1/actions', {
        method: 'POST',
        headers: { 'x-millpond-action': action },
        body: JSON.stringify({ key: this.#key, action, ...details }),
      }),
    )
    const { message } = (await answer.json()) as { readonly message: string }
    expect([answer.status, message]).toEqual([200, message])
    return message
  }

  [Symbol.dispose](): void {
    this.#page.close()
  }
}

/** Takes every action that there is on the page of a pool, and sees that it is done. */
export async function expectSteered({ pool, use, hold }: Steered): Promise<void> {
  using desk = new Desk(pool)
  await use()
  expect((await desk.see()).actions).toEqual(['resize', 'suspend', 'resume', 'invalidate', 'kill'])

  expect(await desk.act('resize', { min: 0, max: 3 })).toBe('The sizes are now min 0 and max 3.')
  expect((await desk.see()).sizes).toEqual({ min: 0, max: 3 })

  await desk.act('suspend')
  expect(pool.state).toBe('suspended')
  expect((await pool.health()).status).toBe('warn')
  let served = false
  const waiting = use().then(() => (served = true))
  await waitFor(() => pool.stats().waiting > 0, { what: 'somebody waits for the suspended pool' })
  expect(served).toBe(false)
  await desk.act('resume')
  await waiting
  expect(pool.state).toBe('open')

  const held = hold().then(
    () => 'ended well',
    () => 'was taken away',
  )
  const lease = await waitFor(async () => (await desk.see()).leases[0], {
    what: 'the page shows who holds a connection',
  })
  const { resourceId, part } = lease
  expect(await desk.act('kill', { resourceId, ...(part === undefined ? {} : { part }) })).toMatch(/was taken away\.$/)
  expect(await held).toBe('was taken away')

  await use()
  const { created, destroyed } = pool.stats()
  await desk.act('invalidate')
  await waitFor(() => pool.stats().destroyed.stale > destroyed.stale, { what: 'what was idle is closed' })
  await use()
  expect(pool.stats().created).toBeGreaterThan(created)
}
