import { nameOf } from '../analysis/ast.ts'
import { acquireOf, outermost } from '../analysis/borrowing.ts'
import { defineRule } from '../rule.ts'

export const noDroppedAcquire = defineRule({
  name: 'no-dropped-acquire',
  description: 'Keep what acquire() returns: dropped, it can never be given back',
  set: 'recommended',
  types: true,
  messages: {
    dropped:
      'What `{{method}}()` lends is dropped here, so that nothing can give it back: one connection less, each time. To try a connection, use `{{probe}}`.',
    chained:
      '`{{method}}()` lends something that only this expression can reach: nothing can give it back. Bind it to a name, and release it in a `finally` block.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression(node) {
        const acquire = acquireOf(node, sourceCode)
        // By name alone, `pool.connect()` may as well open a pool, as that of mssql does.
        if (acquire?.maker === undefined || acquire.callback !== undefined || node.arguments.some(isCallback)) return
        const outer = outermost(node)
        const { parent } = outer
        const method = nameOf(node.callee) ?? 'acquire'
        if (
          parent?.type === 'ExpressionStatement' ||
          (parent?.type === 'UnaryExpression' && parent.operator === 'void')
        ) {
          const probe = acquire.maker.driver === 'millpond' ? 'pool.ready()' : "pool.query('SELECT 1')"
          context.report({ node, messageId: 'dropped', data: { method, probe } })
        }
        const isAwaited = node.parent.type === 'AwaitExpression'
        if (
          isAwaited &&
          parent?.type === 'MemberExpression' &&
          parent.parent.type === 'CallExpression' &&
          parent.parent.callee === parent
        ) {
          if (nameOf(parent) !== 'release') context.report({ node, messageId: 'chained', data: { method } })
        }
      },
    }
  },
})

const isCallback = (node: { readonly type: string }): boolean => node.type === 'Identifier'
