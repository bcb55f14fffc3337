import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { bare, findBelow, methodOf, nameOf, receiverOf } from './ast.ts'
import { exportOf } from './modules.ts'
import { resolve, variableOf } from './variables.ts'

/** Packages whose calls go over the network to a service that is not the pool's, or wait on purpose. */
const FAR =
  /^(node-fetch|cross-fetch|undici|axios|got|ky|ofetch|superagent|needle|nodemailer|stripe|openai|@anthropic-ai\/sdk|twilio|googleapis|octokit|timers\/promises|(@aws-sdk|@google-cloud|@azure|@octokit|@sendgrid|@slack|@mailchimp)\/.+)$/

/** The first call in what an `await` waits for that takes as long as somebody else takes: an HTTP request, a mail, a timer. */
export function slowCallIn(awaited: Node, sourceCode: SourceCode): Node | undefined {
  const node = bare(awaited)
  // `Promise.all(items.map(async (item) => fetch(…)))` waits for what its functions do, other calls for themselves alone.
  if (isPromiseMethod(node)) return findBelow(node, sourceCode, (each) => isSlow(each, sourceCode))
  if (isSlow(node, sourceCode)) return node
  switch (node.type) {
    case 'CallExpression':
      return slowCallIn(node.callee, sourceCode)
    case 'MemberExpression':
      return slowCallIn(node.object, sourceCode)
    case 'ConditionalExpression':
      return slowCallIn(node.consequent, sourceCode) ?? slowCallIn(node.alternate, sourceCode)
    case 'LogicalExpression':
      return slowCallIn(node.left, sourceCode) ?? slowCallIn(node.right, sourceCode)
    default:
      return undefined
  }
}

function isSlow(node: Node, sourceCode: SourceCode): boolean {
  if (node.type === 'NewExpression') return isTimer(node, sourceCode)
  if (node.type !== 'CallExpression') return false
  const callee = bare(node.callee)
  if (callee.type === 'Identifier') {
    if (callee.name === 'fetch' && (variableOf(callee, sourceCode)?.defs.length ?? 0) === 0) return true
    if (/^(sleep|delay)$/.test(callee.name)) return true
  }
  if (/^(globalThis|window|self)$/.test(nameOf(receiverOf(node)) ?? '') && methodOf(node) === 'fetch') return true
  return isFar(callee, sourceCode)
}

/** Whether what is called belongs to such a package, or to something that one of them has made. */
function isFar(callee: Node, sourceCode: SourceCode): boolean {
  const from = exportOf(callee, sourceCode)
  if (from !== undefined) return FAR.test(from.module)
  let root: Node = callee
  while (root.type === 'MemberExpression' && root.object.type !== 'ThisExpression') root = bare(root.object)
  const made = resolve(root, sourceCode)
  if (made === callee || (made.type !== 'NewExpression' && made.type !== 'CallExpression')) return false
  const maker = exportOf(made.callee, sourceCode)
  return maker !== undefined && FAR.test(maker.module)
}

/** `new Promise((resolve) => setTimeout(resolve, 1_000))` */
function isTimer(node: TSESTree.NewExpression, sourceCode: SourceCode): boolean {
  const [executor] = node.arguments
  if (nameOf(node.callee) !== 'Promise' || executor === undefined) return false
  const resolver = executor.type === 'ArrowFunctionExpression' ? nameOf(executor.params[0]) : undefined
  return (
    resolver !== undefined &&
    findBelow(
      executor,
      sourceCode,
      (each) =>
        each.type === 'CallExpression' &&
        nameOf(each.callee) === 'setTimeout' &&
        nameOf(each.arguments[0]) === resolver,
    ) !== undefined
  )
}

const isPromiseMethod = (node: Node): boolean =>
  node.type === 'CallExpression' && nameOf(receiverOf(node)) === 'Promise'
