import { methodOf, receiverOf } from '../analysis/ast.ts'
import { endsTransaction, isBegin, isOfSession, isPool, sqlOf } from '../analysis/statements.ts'
import { defineRule } from '../rule.ts'

export const noTransactionOnPool = defineRule({
  name: 'no-transaction-on-pool',
  description: 'Begin a transaction, or change a session, on a borrowed connection and not on the pool',
  set: 'recommended',
  types: true,
  messages: {
    transaction:
      'Each `{{method}}()` on a pool may use another connection: what follows runs outside of this transaction, and the connection goes back with it still open. Borrow one connection for all of it.',
    session:
      'This changes the session of whichever connection the pool picks: the next statement may run on another, and the next borrower gets this one as it is. Borrow one connection for all of it.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression(node) {
        const [sql, pool] = [sqlOf(node, sourceCode), receiverOf(node)]
        if (sql === undefined || pool === undefined || !isPool(pool, sourceCode)) return
        const isTransaction = isBegin(sql) || endsTransaction(node, sourceCode)
        if (!isTransaction && !isOfSession(sql)) return
        context.report({
          node,
          messageId: isTransaction ? 'transaction' : 'session',
          data: { method: methodOf(node) ?? '' },
        })
      },
    }
  },
})
