import type { TSESTree } from '@typescript-eslint/utils'
import { methodOf } from '../analysis/ast.ts'
import { endsTransaction, sqlOf } from '../analysis/statements.ts'
import { defineRule, type Node } from '../rule.ts'

export const noMaskingRollback = defineRule({
  name: 'no-masking-rollback',
  description: 'Catch the error of a ROLLBACK, so that it does not hide the one that led to it',
  set: 'recommended',
  type: 'suggestion',
  suggests: true,
  messages: {
    masks:
      'When the connection is what failed, this fails as well, and the caller is told of the rollback instead of the first error. Catch it here: `{{call}}.catch(() => {})`.',
    catch: 'Catch the error of the rollback.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CatchClause(node) {
        const statements = node.body.body
        for (const [index, statement] of statements.entries()) {
          const call = rollbackOf(statement)
          if (call === undefined || !isRollback(call)) continue
          if (!statements.slice(index + 1).some(({ type }) => type === 'ThrowStatement')) continue
          context.report({
            node: call,
            messageId: 'masks',
            data: { call: sourceCode.getText(call) },
            suggest: [{ messageId: 'catch', fix: (fixer) => fixer.insertTextAfter(call, '.catch(() => {})') }],
          })
        }
      },
    }

    function isRollback(call: TSESTree.CallExpression): boolean {
      const sql = sqlOf(call, sourceCode)
      if (sql !== undefined) return /^\s*ROLLBACK\b(?!\s+TO)/i.test(sql) && endsTransaction(call, sourceCode)
      return /^(rollback(Transaction)?|abortTransaction)$/.test(methodOf(call) ?? '')
    }
  },
})

/** `await client.query('ROLLBACK')` as a statement of its own. */
function rollbackOf(statement: Node): TSESTree.CallExpression | undefined {
  if (statement.type !== 'ExpressionStatement' || statement.expression.type !== 'AwaitExpression') return undefined
  const { argument } = statement.expression
  return argument.type === 'CallExpression' ? argument : undefined
}
