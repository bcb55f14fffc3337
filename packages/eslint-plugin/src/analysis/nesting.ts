import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { isFunction, receiverOf } from './ast.ts'
import type { Borrowing } from './borrowing.ts'
import { ABSENT, follow, HELD, type Effects } from './flow.ts'
import { effectsOf, followLoan } from './loan.ts'
import { beginsTransaction, endsTransaction, takesConnection } from './statements.ts'
import { isSame } from './variables.ts'

/** The calls that take another connection of the same pool while this one is held, and whether a transaction is open on it. */
export function nestedCalls(
  borrowing: Borrowing,
  sourceCode: SourceCode,
): { readonly call: TSESTree.CallExpression; readonly inTransaction: boolean }[] {
  const base = effectsOf(borrowing, sourceCode)
  const isNested = (node: Node): boolean => {
    if (node.type !== 'CallExpression' || !takesConnection(node) || node === borrowing.acquire.call) return false
    const on = receiverOf(node)
    return on !== undefined && isSame(on, borrowing.acquire.pool, sourceCode)
  }
  const onIt = (call: TSESTree.CallExpression): boolean => {
    const on = receiverOf(call)
    return on?.type === 'Identifier' && borrowing.variable.references.some(({ identifier }) => identifier === on)
  }
  const whileHeld: Effects = {
    ...base,
    effectOf(node) {
      if (isNested(node)) return 'use'
      const effect = base.effectOf(node)
      return effect === 'use' ? undefined : effect
    },
  }
  const whileOpen: Effects = {
    ...base,
    effectOf(node) {
      if (isNested(node)) return 'use'
      if (node.type === 'CallExpression' && onIt(node)) {
        if (beginsTransaction(node, sourceCode)) return 'acquire'
        if (endsTransaction(node, sourceCode)) return 'end'
      }
      return base.effectOf(node) === 'end' ? 'end' : undefined
    },
    testOf: () => undefined,
  }
  const { owner } = borrowing
  const held = followLoan(borrowing, sourceCode, whileHeld).uses
  const open = follow(isFunction(owner) ? owner.body : owner, ABSENT, whileOpen, sourceCode).uses
  const callsIn = (visits: typeof held): Set<Node> =>
    new Set(visits.filter(({ states }) => (states & ~ABSENT) === HELD).map(({ node }) => node))
  const inTransaction = callsIn(open)
  return [...callsIn(held)].flatMap((call) =>
    call.type === 'CallExpression' ? [{ call, inTransaction: inTransaction.has(call) }] : [],
  )
}
