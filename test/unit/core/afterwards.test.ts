import { describe, expect, it } from 'vitest'
import { afterwards, inTick, type Follower } from '../../../src/core/afterwards.ts'
import { watchUncaught } from '../../support/uncaught.ts'

/** Followers that note their name when they go on, and then do what they are told. */
function followers(): { readonly order: string[]; follower(name: string, then?: () => void): Follower } {
  const order: string[] = []
  const follower = (name: string, then?: () => void): Follower => ({
    follower: undefined,
    goOn() {
      order.push(name)
      then?.()
    },
  })
  return { order, follower }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe.each([
  { when: 'afterwards', add: afterwards, told: 'unhandledRejection' as const },
  { when: 'in a tick', add: inTick, told: 'uncaughtException' as const },
])('what goes on $when', ({ add, told }) => {
  it('does so in order, once each, however often it was added, and not at once', async () => {
    const { order, follower } = followers()
    const [first, second, third] = ['first', 'second', 'third'].map((name) => follower(name)) as [
      Follower,
      Follower,
      Follower,
    ]
    for (const each of [first, first, second, third, second, third]) add(each)
    expect(order).toEqual([])
    await turn()
    expect(order).toEqual(['first', 'second', 'third'])
  })

  it('may be added while others go on, itself too: it comes behind them', async () => {
    const { order, follower } = followers()
    const late = follower('late')
    let again = 1
    const first = follower('first', () => {
      add(late)
      if (again-- > 0) add(first)
    })
    for (const each of [first, follower('second'), follower('third')]) add(each)
    await turn()
    expect(order).toEqual(['first', 'second', 'third', 'late', 'first', 'late'])
  })

  it('does so although one before it throws, which is told as an uncaught error', async () => {
    const { order, follower } = followers()
    const uncaught = watchUncaught(told)
    try {
      const error = new Error('a bug of who goes on')
      const throwing = follower('throwing', () => {
        throw error
      })
      for (const each of [throwing, follower('next'), follower('last')]) add(each)
      await turn()
      await turn()
      expect(order).toEqual(['throwing', 'next', 'last'])
      expect(uncaught.errors).toEqual([error])
    } finally {
      uncaught.stop()
    }
  })
})
