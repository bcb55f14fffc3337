import type { TSESTree } from '@typescript-eslint/utils'
import { bare, findBelow, isFunction, methodOf, nameOf, receiverOf, type FunctionNode } from '../analysis/ast.ts'
import { acquireOf, isKeptOnPurpose, type Borrowing } from '../analysis/borrowing.ts'
import { ABSENT, HELD, type Effects } from '../analysis/flow.ts'
import { eachBorrowing, effectsOf, followLoan } from '../analysis/loan.ts'
import { makerOfValue } from '../analysis/makers.ts'
import { slowCallIn } from '../analysis/slow-calls.ts'
import { isPool } from '../analysis/statements.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

export const noAwaitInHeldConnection = defineRule({
  name: 'no-await-in-held-connection',
  description:
    'Wait for nobody else while a connection is held: an HTTP request, a mail or a timer keeps it from others',
  set: 'strict',
  types: true,
  messages: {
    held: 'This waits for somebody else while {{what}}: as long as it takes, a connection does nothing and nobody else can have it. Do it before the borrowing or after the giving back.',
  },
  create(context) {
    const { sourceCode } = context
    const seen = new Set<Node>()
    const report = (node: Node, what: string): void => {
      if (seen.has(node)) return
      seen.add(node)
      context.report({ node, messageId: 'held', data: { what } })
    }
    const onBorrowing = eachBorrowing(sourceCode, (borrowing) => {
      // What a program, or a listener for notifications, holds as long as it runs is not missed by anybody.
      if (borrowing.owner.type === 'Program' || isKeptOnPurpose(borrowing, sourceCode)) return
      for (const node of slowWhileHeld(borrowing, sourceCode)) report(node, held(borrowing.name))
    })
    return {
      CallExpression(node) {
        onBorrowing(node)
        const holding = heldCallback(node, sourceCode)
        if (holding === undefined) return
        for (const each of slowIn(holding.callback.body, sourceCode, true)) report(each, holding.what)
      },
      // `using client = await pool.connect()` holds it to the end of its block.
      VariableDeclaration(node) {
        if ((node.kind !== 'using' && node.kind !== 'await using') || node.parent.type !== 'BlockStatement') return
        const [{ id, init }] = node.declarations
        const call = init === null ? undefined : bare(init)
        if (call?.type !== 'CallExpression' || acquireOf(call, sourceCode) === undefined) return
        const { body } = node.parent
        for (const statement of body.slice(body.indexOf(node) + 1))
          for (const each of slowIn(statement, sourceCode)) report(each, held(nameOf(id)))
      },
    }
  },
})

const held = (name: string | undefined): string => (name === undefined ? 'it is held' : `\`${name}\` is held`)

function slowWhileHeld(borrowing: Borrowing, sourceCode: SourceCode): Node[] {
  const base = effectsOf(borrowing, sourceCode)
  const found = new Map<Node, Node>()
  const effects: Effects = {
    ...base,
    effectOf(node) {
      const slow = node.type === 'AwaitExpression' ? slowCallIn(node.argument, sourceCode) : undefined
      if (slow !== undefined) {
        found.set(node, slow)
        return 'use'
      }
      const effect = base.effectOf(node)
      return effect === 'use' ? undefined : effect
    },
  }
  return followLoan(borrowing, sourceCode, effects).uses.flatMap(({ node, states }) => {
    const slow = found.get(node)
    return slow !== undefined && (states & ~ABSENT) === HELD ? [slow] : []
  })
}

/** The callback that runs with a connection, or in a transaction, which it holds until it is over. */
function heldCallback(
  call: TSESTree.CallExpression,
  sourceCode: SourceCode,
): { readonly callback: FunctionNode; readonly what: string } | undefined {
  const [method, owner] = [methodOf(call), receiverOf(call)]
  const callback = call.arguments.find((each) => isFunction(each))
  if (method === undefined || owner === undefined || callback === undefined) return undefined
  // One that is not asynchronous is a transaction of better-sqlite3 and its like, which waits for nothing.
  const isTransaction = callback.async && /^(\$?transaction|withTransaction)$/.test(method)
  if (isTransaction && (callback.params.length > 0 || makerOfValue(owner, sourceCode) !== undefined || method === 'withTransaction'))
    return { callback, what: 'a transaction is open' } // prettier-ignore
  if (method !== 'use' || !isPool(owner, sourceCode)) return undefined
  return { callback, what: held(nameOf(callback.params[0])) }
}

/** What is awaited below a node, functions of its own left out; of a callback also what it returns. */
function slowIn(node: Node, sourceCode: SourceCode, isCallback = false): Node[] {
  const found: Node[] = []
  const add = (awaited: Node | null): void => {
    const slow = awaited === null ? undefined : slowCallIn(awaited, sourceCode)
    if (slow !== undefined) found.push(slow)
  }
  if (isCallback && node.type !== 'BlockStatement') add(node)
  findBelow(
    node,
    sourceCode,
    (each) => {
      if (each.type === 'AwaitExpression' || (isCallback && each.type === 'ReturnStatement')) add(each.argument)
      return false
    },
    false,
  )
  return found
}
