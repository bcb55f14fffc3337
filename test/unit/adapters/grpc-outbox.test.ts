import { expect, it } from 'vitest'
import type { GrpcCall, GrpcMessageContext } from '../../../src/adapters/grpc/driver.ts'
import { Outbox } from '../../../src/adapters/grpc/outbox.ts'

/** A call that notes what it is told, and takes the next message when it is let. */
function noting() {
  const heard: string[] = []
  const told: GrpcMessageContext[] = []
  const call = {
    startRead: () => void heard.push('read'),
    halfClose: () => void heard.push('end'),
    sendMessageWithContext: (context: GrpcMessageContext, message: unknown) => {
      heard.push(String(message))
      told.push(context)
    },
  } as unknown as GrpcCall
  return { call, heard, take: () => told.shift()?.callback?.() }
}

it('what comes before there is a call goes to it in order, one message after the other', () => {
  const outbox = new Outbox()
  outbox.startRead()
  for (const message of ['a', 'b', 'c']) outbox.send({ callback: () => undefined }, message)
  const { call, heard, take } = noting()
  outbox.attach(call)
  expect(heard).toEqual(['read', 'a'])
  outbox.halfClose()
  take()
  expect(heard).toEqual(['read', 'a', 'b'])
  take()
  expect(heard).toEqual(['read', 'a', 'b', 'c', 'end'])
})

it('another call gets all of it again, and the client is told of each message once', () => {
  const outbox = new Outbox()
  const told: string[] = []
  const send = (message: string): void => outbox.send({ callback: () => told.push(message) }, message)
  const first = noting()
  outbox.attach(first.call)
  send('a')
  first.take()
  send('b')
  outbox.detach()
  const second = noting()
  outbox.attach(second.call)
  expect(second.heard).toEqual(['a'])
  // Too late: the second one has the word.
  first.take()
  send('c')
  second.take()
  second.take()
  second.take()
  outbox.halfClose()
  expect(second.heard).toEqual(['a', 'b', 'c', 'end'])
  expect(told).toEqual(['a', 'b', 'c'])
})

it('what a client sends when it is told comes after what waits', () => {
  const outbox = new Outbox()
  outbox.send({ callback: () => outbox.send({}, 'c') }, 'a')
  outbox.send({}, 'b')
  const { call, heard, take } = noting()
  outbox.attach(call)
  take()
  take()
  take()
  expect(heard).toEqual(['a', 'b', 'c'])
})

it('is whole until it is told to forget, or has more than it keeps', () => {
  const outbox = new Outbox()
  outbox.attach(noting().call)
  outbox.send({}, Buffer.alloc(1024 * 1024))
  expect(outbox.isWhole).toBe(true)
  outbox.send({}, Buffer.alloc(1))
  expect(outbox.isWhole).toBe(false)
  const other = new Outbox()
  other.forget()
  expect(other.isWhole).toBe(false)
})

it('sends what was too much to keep all the same, once there is a call', () => {
  const outbox = new Outbox()
  outbox.send({}, 'x'.repeat(2 * 1024 * 1024))
  outbox.send({}, 'last')
  const { call, heard, take } = noting()
  outbox.attach(call)
  take()
  expect(heard.map(({ length }) => length)).toEqual([2 * 1024 * 1024, 4])
})
