import type { TSESTree } from '@typescript-eslint/utils'
import { findBelow, methodOf, nameOf, receiverOf } from '../analysis/ast.ts'
import { eachBorrowing } from '../analysis/loan.ts'
import { defineRule, type Node } from '../rule.ts'

export const noConcurrentQueries = defineRule({
  name: 'no-concurrent-queries',
  description: 'Send one statement at a time on one connection: Promise.all makes them queue, not run side by side',
  set: 'strict',
  type: 'suggestion',
  types: true,
  messages: {
    queued:
      'One connection runs one statement at a time: these queue behind each other, and when one fails, the others still run, also after the ROLLBACK. Await each, or let the pool run them side by side outside of a transaction.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression: eachBorrowing(sourceCode, ({ owner, variable }) => {
        const isQuery = (node: Node): boolean =>
          node.type === 'CallExpression' &&
          /^(query|execute)$/.test(methodOf(node) ?? '') &&
          variable.references.some(({ identifier }) => identifier === receiverOf(node))
        findBelow(owner, sourceCode, (node) => {
          if (!isPromiseAll(node)) return false
          const [list] = node.arguments
          if (list === undefined) return false
          const many =
            list.type === 'ArrayExpression'
              ? list.elements.filter((each) => each !== null && findBelow(each, sourceCode, isQuery) !== undefined)
                  .length > 1
              : methodOf(list) === 'map' && findBelow(list, sourceCode, isQuery) !== undefined
          if (many) context.report({ node, messageId: 'queued' })
          return false
        })
      }),
    }
  },
})

const isPromiseAll = (node: Node): node is TSESTree.CallExpression =>
  node.type === 'CallExpression' &&
  nameOf(receiverOf(node) ?? node) === 'Promise' &&
  /^(all|allSettled|race|any)$/.test(methodOf(node) ?? '')
