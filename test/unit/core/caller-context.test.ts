import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, it } from 'vitest'
import { inCallersContext } from '../../../src/core/caller-context.ts'

it('runs a callback, with its arguments, in the async context in which it was handed in', () => {
  const context = new AsyncLocalStorage<string>()
  const heard: unknown[] = []
  const call = context.run('caller', () =>
    inCallersContext((error: unknown, answer?: number) => heard.push([error, answer, context.getStore()])),
  )
  context.run('somebody else', () => call(null, 1))
  call('failed')
  expect(heard).toEqual([
    [null, 1, 'caller'],
    ['failed', undefined, 'caller'],
  ])
})
