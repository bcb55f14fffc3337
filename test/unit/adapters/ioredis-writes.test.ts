import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { writeTogether } from '../../../src/adapters/redis/ioredis-writes.ts'
import { watchUncaught } from '../../support/uncaught.ts'

/** What is written goes into `packets`, one entry for each call into the kernel. */
class Wire extends Writable {
  readonly packets: string[] = []

  constructor() {
    super({ decodeStrings: false })
  }

  override _write(text: string, _encoding: string, done: () => void): void {
    this.packets.push(text)
    done()
  }

  override _writev(chunks: { chunk: string }[], done: () => void): void {
    this.packets.push(chunks.map(({ chunk }) => chunk).join(' '))
    done()
  }
}

/** As ioredis sends, and nothing else of it. */
class Sender {
  stream: Wire | undefined = new Wire()

  sendCommand(text: string): string {
    this.stream?.write(text)
    return `sent ${text}`
  }
}

function sender(): Sender {
  const client = new Sender()
  writeTogether(client as Parameters<typeof writeTogether>[0])
  return client
}

const nextTick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve))

describe('commands that ioredis sends', () => {
  it('go out in one packet where they are asked for in one tick, in their order', async () => {
    const client = sender()
    const { stream } = client
    expect([client.sendCommand('a'), client.sendCommand('b'), client.sendCommand('c')]).toEqual([
      'sent a',
      'sent b',
      'sent c',
    ])
    expect(stream?.packets).toEqual([])
    await nextTick()
    expect(stream?.packets).toEqual(['a b c'])
    client.sendCommand('d')
    await nextTick()
    expect(stream?.packets).toEqual(['a b c', 'd'])
  })

  it('are one packet also where each is asked for when another promise is settled', async () => {
    const client = sender()
    await Promise.all(
      ['a', 'b', 'c'].map(async (text, steps) => {
        for (let step = 0; step <= steps; step++) await Promise.resolve()
        client.sendCommand(text)
      }),
    )
    await nextTick()
    expect(client.stream?.packets).toEqual(['a b c'])
  })

  it('are out before the event loop turns', async () => {
    const client = sender()
    client.sendCommand('a')
    await new Promise(setImmediate)
    expect(client.stream?.packets).toEqual(['a'])
  })

  it('are held back up to a bound only, however long the tick', async () => {
    const client = sender()
    const [large, small] = ['x'.repeat(70_000), 'y']
    for (const text of [large, small, large, small]) client.sendCommand(text)
    expect(client.stream?.packets).toEqual([large, `${small} ${large}`])
    await nextTick()
    expect(client.stream?.packets.at(-1)).toBe(small)
  })

  it('go out on every connection also where one of them throws', async () => {
    const [one, other] = [sender(), sender()]
    const error = new Error('a stream of somebody’s own')
    const uncaught = watchUncaught()
    if (other.stream !== undefined)
      other.stream._write = () => {
        throw error
      }
    one.sendCommand('a')
    other.sendCommand('b')
    await new Promise(setImmediate)
    uncaught.stop()
    expect(uncaught.errors).toHaveLength(1)
    expect(uncaught.errors[0]).toBe(error)
    expect(one.stream?.packets).toEqual(['a'])
  })

  it('go out on every connection on which something was sent', async () => {
    const [one, other] = [sender(), sender()]
    one.sendCommand('a')
    other.sendCommand('b')
    one.sendCommand('c')
    await nextTick()
    expect([one.stream?.packets, other.stream?.packets]).toEqual([['a c'], ['b']])
  })

  it('leave a stream alone that somebody else holds back', async () => {
    const client = sender()
    const { stream } = client
    stream?.cork()
    client.sendCommand('a')
    await nextTick()
    expect(stream?.packets).toEqual([])
    stream?.uncork()
    expect(stream?.packets).toEqual(['a'])
  })

  it('go by way of the class as it is then, which a tracer may have wrapped', async () => {
    const client = sender()
    const { sendCommand } = Sender.prototype
    Sender.prototype.sendCommand = function (text) {
      return sendCommand.call(this, `traced ${text}`)
    }
    client.sendCommand('a')
    Sender.prototype.sendCommand = sendCommand
    await nextTick()
    expect(client.stream?.packets).toEqual(['traced a'])
  })

  it('are sent where there is no connection yet', () => {
    const client = sender()
    client.stream = undefined
    expect(client.sendCommand('a')).toBe('sent a')
  })
})
