import type { TSESTree } from '@typescript-eslint/utils'
import { bare, findBelow, isFunction, methodOf, nameOf, parentOf, propertyOf, receiverOf } from '../analysis/ast.ts'
import { eachBorrowing } from '../analysis/loan.ts'
import { makerOfValue } from '../analysis/makers.ts'
import { nestedCalls } from '../analysis/nesting.ts'
import { isSame } from '../analysis/variables.ts'
import { defineRule, type Node } from '../rule.ts'

export const noPoolInTransaction = defineRule({
  name: 'no-pool-in-transaction',
  description: 'Use the transaction’s own connection inside of a transaction, not the pool',
  set: 'recommended',
  types: true,
  messages: {
    pool: 'This runs on another connection than the transaction begun on `{{name}}`: it is not rolled back with it, does not see what it wrote, and waits for a second connection while the first is held. Use `{{name}}`.',
    callback:
      'This runs outside of the transaction, on another connection: it is not rolled back with it, does not see what it wrote, and waits for a second connection while the first is held. Use `{{name}}`.',
  },
  create(context) {
    const { sourceCode } = context
    const onBorrowing = eachBorrowing(sourceCode, (borrowing) => {
      for (const { call, inTransaction } of nestedCalls(borrowing, sourceCode))
        if (inTransaction) context.report({ node: call, messageId: 'pool', data: { name: borrowing.name } })
    })
    return {
      CallExpression(node) {
        onBorrowing(node)
        const [method, owner] = [methodOf(node), receiverOf(node)]
        if (owner === undefined || !/^(\$?transaction|begin|withTransaction)$/.test(method ?? '')) return
        const callback = node.arguments.find((each) => isFunction(each))
        const [parameter] = callback?.params ?? []
        const name = parameter === undefined ? undefined : nameOf(parameter)
        // Synchronous transactions, as of better-sqlite3, are on the one connection that there is.
        if (callback === undefined || name === undefined) return
        if (!callback.async && makerOfValue(owner, sourceCode) === undefined) return
        const isOutside = (each: Node): boolean => each.type === 'CallExpression' && runsOn(each, owner)
        findBelow(callback.body, sourceCode, (each) => {
          if (isOutside(each)) context.report({ node: each, messageId: 'callback', data: { name } })
          return false
        })
      },
    }

    /** Whether a call sends something on the owner: `db.query(…)`, `knex('users').insert(…)`, `prisma.user.create(…)`. */
    function runsOn(call: TSESTree.CallExpression, owner: Node): boolean {
      const callee = bare(call.callee)
      // Of a chain of calls the innermost is the one.
      if (isSame(callee, owner, sourceCode)) return !isBound(call)
      if (callee.type !== 'MemberExpression') return false
      let root: Node = callee
      const names: (string | undefined)[] = []
      while (root.type === 'MemberExpression') {
        names.push(nameOf(root))
        root = bare(root.object)
        if (isSame(root, owner, sourceCode)) return !names.some((each) => NO_QUERY.test(each ?? '')) && !isBound(call)
      }
      return false
    }
  },
})

/** Members that build a part of a query, or only look. */
const NO_QUERY =
  /^(fn|ref|raw|literal|dynamic|\$with|sql|col|escape|models?|on|once|getRepository|isTransaction|client|log(ger)?|name|options|table|\$dynamic|startSession)$/

/** `{ transaction: t }` and `.transacting(trx)` put it on the transaction after all. */
function isBound(call: TSESTree.CallExpression): boolean {
  if (call.arguments.some((each) => each.type === 'ObjectExpression' && propertyOf(each, 'transaction') !== undefined))
    return true
  for (let node: Node | undefined = call; node !== undefined; node = parentOf(node)) {
    if (node.type === 'MemberExpression' && nameOf(node) === 'transacting') return true
    if (node.type !== 'MemberExpression' && node.type !== 'CallExpression') return false
  }
  return false
}
