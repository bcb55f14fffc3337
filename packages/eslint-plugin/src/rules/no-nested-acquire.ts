import { eachBorrowing } from '../analysis/loan.ts'
import { nestedCalls } from '../analysis/nesting.ts'
import { defineRule } from '../rule.ts'

export const noNestedAcquire = defineRule({
  name: 'no-nested-acquire',
  description: 'Take no second connection of a pool while holding one: when all callers do, nobody can go on',
  set: 'strict',
  types: true,
  messages: {
    nested:
      'This takes a second connection of the pool while `{{name}}` is held. Once as many callers as the pool has connections stand here, each waits for another and none goes on. Use `{{name}}`, or give it back first.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression: eachBorrowing(sourceCode, (borrowing) => {
        for (const { call, inTransaction } of nestedCalls(borrowing, sourceCode))
          if (!inTransaction) context.report({ node: call, messageId: 'nested', data: { name: borrowing.name } })
      }),
    }
  },
})
