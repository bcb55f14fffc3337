import { Agent } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AddressWatch } from '../../../src/adapters/http/address-watch.ts'
import { Circuit } from '../../../src/adapters/http/circuit.ts'
import type { HttpConnection } from '../../../src/adapters/http/connection.ts'
import { afterwards, type Follower } from '../../../src/core/afterwards.ts'
import { keepAliveMillis } from '../../../src/adapters/http/kept-socket.ts'
import { httpAgents } from '../../../src/adapters/http/http-agents.ts'
import { watchUncaught } from '../../support/uncaught.ts'

afterEach(() => {
  vi.useRealTimers()
})

describe('a circuit', () => {
  const settings = { failureRate: 0.5, minRequests: 4, windowMillis: 1_000, openMillis: 100 }

  it('that has opened is not closed by what was asked before', () => {
    const circuit = new Circuit('api', settings)
    for (const now of [0, 1, 2, 3]) circuit.failed(new Error('503'), now)
    circuit.succeeded(4)
    expect([circuit.state, circuit.refusal(5)?.code]).toEqual(['open', 'ERR_POOL_DOWN'])
    expect(circuit.refusal(103)).toBeUndefined()
    expect(circuit.refusal(104)?.retryAfterMillis).toBe(99)
    circuit.succeeded(110)
    expect([circuit.state, circuit.refusal(111), circuit.opened]).toEqual(['closed', undefined, 1])
  })

  it('lets another one through when it never hears of the first', () => {
    const circuit = new Circuit('api', settings)
    for (const now of [0, 1, 2, 3]) circuit.failed(new Error('503'), now)
    expect([circuit.refusal(103), circuit.refusal(202)?.code]).toEqual([undefined, 'ERR_POOL_DOWN'])
    expect(circuit.refusal(203)).toBeUndefined()
    circuit.failed(new Error('503'), 210)
    expect([circuit.state, circuit.opened]).toEqual(['open', 2])
  })
})

describe('an address', () => {
  it('is gone when three answers in a row do not have it: large services name a few of theirs at a time', () => {
    vi.useFakeTimers()
    let answer: string[] = []
    const lookup = (_: string, __: object, done: (error: null, found: object[]) => void): void =>
      done(null, answer.map((address) => ({ address, family: 4 }))) // prettier-ignore
    const watch = new AddressWatch('service.test', 100, { lookup })
    const gone: string[] = []
    for (const address of ['10.0.0.1', '::ffff:10.0.0.2'])
      watch.add({ address } as unknown as HttpConnection, () => gone.push(address))
    const hear = (...addresses: string[]): void => {
      answer = addresses
      vi.advanceTimersByTime(100)
    }
    for (const [one, other] of [['1', '2'], ['1', '3'], ['1', '4'], ['2', '3']]) hear(`10.0.0.${one}`, `10.0.0.${other}`) // prettier-ignore
    expect(gone).toEqual([])
    for (let count = 0; count < 3; count++) hear('10.0.0.2')
    expect(gone).toEqual(['10.0.0.1'])
    // No answer says nothing.
    for (let count = 0; count < 5; count++) hear()
    expect(gone).toHaveLength(1)
    watch.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the keep-alive hint of a server', () => {
  const hint = (text?: string): number =>
    keepAliveMillis({ _httpMessage: { res: { headers: { 'keep-alive': text } } } } as unknown as Socket)

  it('is left a second before its time', () => {
    expect([hint('timeout=5'), hint('max=100, timeout=30'), hint('timeout=1'), hint('timeout=5')]).toEqual([
      4_000, 29_000, 0, 4_000,
    ])
    expect([hint('max=100'), hint(), keepAliveMillis({} as Socket)]).toEqual([Infinity, Infinity, Infinity])
  })
})

describe('who goes on after the driver', () => {
  it('does so in order, once, together with who is added meanwhile, and whatever another one throws', async () => {
    const order: string[] = []
    const uncaught = watchUncaught('unhandledRejection')
    const follower = (name: string, deed = (): void => undefined): Follower => ({
      follower: undefined,
      goOn() {
        order.push(name)
        deed()
      },
    })
    const again = follower('again')
    afterwards(
      follower('first', () => {
        afterwards(again)
        afterwards(follower('added'))
      }),
    )
    afterwards(
      follower('bad', () => {
        throw new Error('of the caller')
      }),
    )
    afterwards(again)
    expect(order).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    uncaught.stop()
    expect(order).toEqual(['first', 'bad', 'again', 'added'])
    expect(uncaught.errors).toMatchObject([{ message: 'of the caller' }])
  })
})

describe('an agent', () => {
  it('names origins as Node does, whatever it was asked before', async () => {
    await using agents = httpAgents()
    const [base, other] = [
      { host: 'api', port: 80 },
      { host: 'api', port: 81 },
    ]
    const asked: object[] = [
      base, base, other, base, { ...base, family: 6 }, { ...base, localAddress: '127.0.0.2' }, { socketPath: '/tmp/a' },
      { ...base, ca: 'one' }, { ...base, ca: 'another', servername: 'b' }, base, {},
    ] // prettier-ignore
    const ours = [agents.httpAgent, agents.httpsAgent].map((agent) => asked.map((options) => agent.getName(options)))
    const theirs = [new Agent(), new SecureAgent()].map((agent) => asked.map((options) => agent.getName(options)))
    expect(ours).toEqual(theirs)
    expect([agents.httpAgent.getName(), agents.httpsAgent.getName()]).toEqual([
      new Agent().getName(),
      new SecureAgent().getName(),
    ])
  })
})
