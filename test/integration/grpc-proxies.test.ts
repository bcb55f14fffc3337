import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { startGrpc, startHaproxy, tryStart, waitFor } from '@millpond/rig'
import { callAndTell, closePools, keepCalling, poolOn, type CutCall } from '../support/grpc.ts'

const backends = await Promise.all([startGrpc(), startGrpc(), startGrpc()])
const haproxy = await tryStart('HAProxy', () =>
  startHaproxy({ mode: 'tcp', backends: backends.map(({ target }) => target) }),
)
const [, second] = backends
afterEach(closePools)
afterAll(async () => {
  await haproxy?.stop()
  await Promise.all(backends.map((each) => each.stop()))
})

type Load = ReturnType<typeof keepCalling>

async function goesOn(load: Load, what: string): Promise<void> {
  const before = load.succeeded
  await waitFor(() => load.succeeded > before + 100, { what: `calls succeed ${what}` })
}

/** A kill may fall between the first and the last bytes of an answer; the driver makes such a call no second time. */
function expectOnlyBegunToFail({ failures }: Load, callers: number): void {
  expect((failures as CutCall[]).filter(({ begun }) => begun !== true)).toEqual([])
  expect(failures.length).toBeLessThan(callers)
}

describe('three backends by name', () => {
  it('of which one is killed fail no call that may be repeated, and share the calls', async () => {
    const target = `ipv4:${backends.map((each) => each.target).join(',')}`
    const pool = poolOn(
      { target },
      {
        streamsPerChannel: 10,
        'grpc.service_config': JSON.stringify({
          loadBalancingConfig: [{ round_robin: {} }],
          methodConfig: [
            {
              name: [{}],
              retryPolicy: {
                maxAttempts: 4,
                initialBackoff: '0.02s',
                maxBackoff: '0.5s',
                backoffMultiplier: 2,
                retryableStatusCodes: ['UNAVAILABLE'],
              },
            },
          ],
        }),
      },
    )
    const load = keepCalling(pool, 30, 10, callAndTell)
    await goesOn(load, 'with three')
    await second.kill()
    await goesOn(load, 'with two')
    await goesOn(load, 'with two')
    await load.stop()
    expectOnlyBegunToFail(load, 30)
    for (const each of [backends[0], backends[2]]) expect((await each.view()).calls).toBeGreaterThan(50)
  })
})

describe.skipIf(haproxy === undefined)('behind HAProxy, which passes on connections', () => {
  const balancer = haproxy as NonNullable<typeof haproxy>
  const target = `127.0.0.1:${balancer?.port}`
  const stateBecomes = async (state: string): Promise<void> => {
    await waitFor(async () => (await balancer.states())['s1'] === state, { what: `HAProxy says ${state}` })
  }

  it('a backend that drains (DRAIN) is left as channels are replaced, and goes down (DOWN), without a failed call', async () => {
    await second.start()
    await stateBecomes('UP')
    const pool = poolOn({ target }, { min: 3, max: 6, streamsPerChannel: 10, maxLifetimeMillis: 400 })
    await pool.ready()
    await Promise.all(backends.map((each) => each.reset()))
    const load = keepCalling(pool, 20, 5)
    for (const each of backends) {
      await waitFor(async () => (await each.view()).calls > 0, { what: 'every backend has calls' })
    }
    await balancer.order('set server back/s1 state drain')
    await stateBecomes('DRAIN')
    // What HAProxy has connected stays so: only a channel that is opened anew goes to another backend.
    await waitFor(
      async () => {
        await second.reset()
        const { destroyed } = pool.stats()
        await waitFor(() => pool.stats().destroyed.lifetime > destroyed.lifetime, { what: 'a channel is replaced' })
        const { calls, active } = await second.view()
        return calls === 0 && active === 0
      },
      { what: 'the one that drains has no calls any more' },
    )
    await second.shutdown()
    await balancer.order('set server back/s1 state ready')
    await stateBecomes('DOWN')
    await goesOn(load, 'with two')
    await second.start()
    await stateBecomes('UP')
    await waitFor(async () => (await second.view()).calls > 0, { what: 'it has calls again' })
    await load.stop()
    expect(load.failures).toEqual([])
  })

  it('HAProxy restarts: what begins meanwhile waits for it, what was under way may fail', async () => {
    const pool = poolOn({ target }, { min: 2, streamsPerChannel: 10, retry: { initialBackoffMillis: 20 } })
    await pool.ready()
    const load = keepCalling(pool, 10, 5)
    await goesOn(load, 'before')
    await balancer.end('SIGTERM')
    await waitFor(() => pool.state === 'paused', { what: 'the pool has noticed' })
    const waiting = pool.promises.unary({ text: 'waited' })
    await balancer.start()
    expect((await waiting).text).toBe('waited')
    await goesOn(load, 'after')
    await load.stop()
    // The driver repeats a call on its own channel, for as long as its pauses last: no longer than a restart here.
    expect(load.failures.length).toBeLessThanOrEqual(10)
    for (const failure of load.failures) expect(failure).toMatchObject({ code: 14 })
    expect(pool.stats()).toMatchObject({ leases: 0, waiting: 0 })
  })

  it('a backend that is killed costs no call that may be repeated', async () => {
    const pool = poolOn({ target }, { min: 3, streamsPerChannel: 10, retry: { initialBackoffMillis: 20 } })
    await pool.ready()
    const load = keepCalling(pool, 20, 5, callAndTell)
    await goesOn(load, 'with three')
    await second.kill()
    await stateBecomes('DOWN')
    await goesOn(load, 'with two')
    await load.stop()
    expectOnlyBegunToFail(load, 20)
  })
})
