import { nameOf, parentOf } from '../analysis/ast.ts'
import type { Borrowing } from '../analysis/borrowing.ts'
import { ABSENT, ENDED } from '../analysis/flow.ts'
import { eachBorrowing, endsLoan, followLoan } from '../analysis/loan.ts'
import { defineRule, type Node } from '../rule.ts'

export const noDoubleRelease = defineRule({
  name: 'no-double-release',
  description: 'Give back what is borrowed from a pool once, and leave it alone afterwards',
  set: 'recommended',
  types: true,
  messages: {
    twice:
      '`{{name}}` has been given back already when this runs. A second release can hand one connection to two borrowers; drop this one, or the first.',
    afterwards:
      '`{{name}}` has been given back already: by now it may be somebody else’s. Move this before the release.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression: eachBorrowing(sourceCode, (borrowing) => {
        const { ends, uses } = followLoan(borrowing, sourceCode)
        const [reported, name] = [new Set<unknown>(), borrowing.name]
        for (const { node, states } of [...ends, ...uses]) {
          const isEnd = endsLoan(node, borrowing, sourceCode)
          if ((states & ~ABSENT) !== ENDED || reported.has(node) || (!isEnd && !isCalled(node))) continue
          if (isGuarded(node, borrowing)) continue
          reported.add(node)
          context.report({ node, messageId: isEnd ? 'twice' : 'afterwards', data: { name } })
        }
      }),
    }
  },
})

/** `if (!released) client.release()`: the guard knows what the paths do not. */
function isGuarded(node: Node, { owner, name }: Borrowing): boolean {
  for (
    let [below, each] = [node, parentOf(node)];
    each !== undefined && each !== owner;
    [below, each] = [each, parentOf(each)]
  ) {
    const test =
      each.type === 'IfStatement' || each.type === 'ConditionalExpression'
        ? each.test
        : each.type === 'LogicalExpression'
          ? each.left
          : undefined
    if (test !== undefined && test !== below && nameOf(test) !== name) return true
  }
  return false
}

/** `client.query(…)`; reading a property or taking off a listener does no harm. */
function isCalled(node: Node): boolean {
  const member = node.parent
  if (member?.type !== 'MemberExpression' || member.object !== node || member.parent.type !== 'CallExpression')
    return false
  return (
    member.parent.callee === member &&
    member.property.type === 'Identifier' &&
    /^(query|execute|batch|beginTransaction|commit|rollback|ping|prepare)$/.test(member.property.name)
  )
}
