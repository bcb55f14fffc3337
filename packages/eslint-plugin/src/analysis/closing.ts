import type { Node, SourceCode } from '../rule.ts'
import { bare, findBelow, isFunction, methodOf, nameOf, receiverOf } from './ast.ts'
import { functionOf } from './variables.ts'

const ENDS = /^(end|close|quit|disconnect|destroy|drain|\$disconnect|shutdown|closeAll|closeAllConnections)$/

/** Whether a node closes something: a pool, a client, a server, by one of the usual methods or by a function of that name. */
export function isClosing(node: Node): boolean {
  if (node.type !== 'CallExpression') return false
  const method = methodOf(node)
  if (method !== undefined) {
    const on = receiverOf(node)
    return (
      ENDS.test(method) && !(on?.type === 'Identifier' && /^(res|response|reply|process|socket|req)$/.test(on.name))
    )
  }
  return /^(shut\s?down|close|cleanup|clean_?up|graceful\w*|teardown|dispose|stop)\w*$/i.test(
    nameOf(bare(node.callee)) ?? '',
  )
}

/** The first closing call below a node, also in the functions of this file that it names. */
export function closingBelow(node: Node, sourceCode: SourceCode): Node | undefined {
  return findBelow(node, sourceCode, (each) => {
    if (isClosing(each)) return true
    if (each.type !== 'CallExpression' || each.callee.type !== 'Identifier') return false
    const fn = functionOf(each.callee, sourceCode)
    return isFunction(fn) && fn !== node && findBelow(fn.body, sourceCode, isClosing) !== undefined
  })
}
