import type { TSESTree } from '@typescript-eslint/utils'
import {
  findBelow,
  functionAround,
  isFunction,
  isInside,
  methodOf,
  nameOf,
  parentOf,
  receiverOf,
  textOf,
} from '../analysis/ast.ts'
import { makerOfValue } from '../analysis/makers.ts'
import { exportOf } from '../analysis/modules.ts'
import { isSame, variableOf } from '../analysis/variables.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

/** They hold up their connection until something arrives, or their timeout is over. */
const BLOCKING = /^(blpop|brpop|brpoplpush|blmove|blmpop|bzpopmin|bzpopmax|bzmpop)$/i
/** They do so with BLOCK among their arguments. */
const WITH_BLOCK = /^(xread|xreadgroup)$/i
/** Methods of a client that are no commands. */
const NO_COMMAND =
  /^(on|once|off|addListener|removeListener|removeAllListeners|setMaxListeners|connect|disconnect|quit|close|destroy|duplicate|unref|ref|defineCommand)$/
/** `import { redis } from './redis.js'`: what a module of the project exports, others import too. */
const NAMED_REDIS = /^(io)?redis(_?client)?$/i

export const noSharedBlockingRedis = defineRule({
  name: 'no-shared-blocking-redis',
  description: 'Send blocking commands of Redis on a connection of their own: behind them everybody else waits',
  set: 'recommended',
  types: true,
  messages: {
    blocks:
      '`{{command}}` holds up its connection until something arrives, and {{who}} on the same connection: whatever comes after it waits as long. Give it a connection of its own, `{{name}}.duplicate()`.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression(node) {
        const command = blockingCommand(node, sourceCode)
        const client = receiverOf(node)
        if (command === undefined || client === undefined) return
        const who = otherUser(client, node, sourceCode)
        if (who === undefined) return
        context.report({
          node,
          messageId: 'blocks',
          data: { command, who, name: sourceCode.getText(client) },
        })
      },
    }
  },
})

/** The name of the blocking command that a call sends; `call('BLPOP', …)` and `sendCommand(['BLPOP', …])` too. */
function blockingCommand(call: TSESTree.CallExpression, sourceCode: SourceCode): string | undefined {
  const method = methodOf(call)
  const [first] = call.arguments
  if (method === undefined) return undefined
  let command = method
  if (method === 'call') command = textOf(first) ?? ''
  if (method === 'sendCommand') command = first?.type === 'ArrayExpression' ? (textOf(first.elements[0] ?? undefined) ?? '') : '' // prettier-ignore
  if (BLOCKING.test(command)) return command
  const blocks = (node: Node): boolean =>
    textOf(node)?.toUpperCase() === 'BLOCK' || (node.type === 'Property' && nameOf(node.key) === 'BLOCK')
  const saysSo = call.arguments.some((each) => findBelow(each, sourceCode, blocks, false) !== undefined)
  return WITH_BLOCK.test(command) && saysSo ? command : undefined
}

/** Who else sends commands on this client, as far as this file tells; undefined where nobody does. */
function otherUser(client: Node, call: Node, sourceCode: SourceCode): string | undefined {
  const maker = makerOfValue(client, sourceCode)
  if (maker !== undefined && (!/^(ioredis|redis)$/.test(maker.driver) || maker.role !== 'client')) return undefined
  // A worker whose loop takes jobs from an imported client may well be the only one in its process.
  if (isImported(client, sourceCode)) return isInLoop(call) ? undefined : 'other modules send theirs'
  if (maker === undefined) return undefined
  const owner = functionAround(call)
  const uses = usesOf(client, sourceCode).filter((use) => owner === undefined || !isInside(use, owner))
  if (uses.some(isExported)) return 'other modules send theirs'
  const other = uses.find((use) => sendsCommand(use, sourceCode))
  return other === undefined ? undefined : `line ${other.loc.start.line} sends its own`
}

/** From another module of the project, under a name that says what it is; a parameter may be somebody's own connection. */
function isImported(client: Node, sourceCode: SourceCode): boolean {
  const module = exportOf(client, sourceCode)?.module
  return module !== undefined && /^(\.|\/|[@~#]\/|#|src\/)/.test(module) && NAMED_REDIS.test(nameOf(client) ?? '')
}

function isInLoop(call: Node): boolean {
  for (let node = parentOf(call); node !== undefined && !isFunction(node); node = parentOf(node))
    if (/^(While|DoWhile|For|ForOf)Statement$/.test(node.type)) return true
  return false
}

/** Every place that names the client: references of its variable, or `this.redis` in its class. */
function usesOf(client: Node, sourceCode: SourceCode): Node[] {
  const variable = variableOf(client, sourceCode)
  if (variable !== undefined) return variable.references.map(({ identifier }) => identifier)
  let around: Node | undefined = client
  while (around !== undefined && around.type !== 'ClassBody') around = parentOf(around)
  const found: Node[] = []
  if (around !== undefined)
    findBelow(around, sourceCode, (node) => {
      if (isSame(node, client, sourceCode)) found.push(node)
      return false
    })
  return found
}

/** `redis.get(…)`, or the client handed to somebody who will. */
function sendsCommand(use: Node, sourceCode: SourceCode): boolean {
  const { parent } = use
  if (parent?.type === 'MemberExpression' && parent.object === use) {
    const call = parent.parent
    if (call.type !== 'CallExpression' || call.callee !== parent) return false
    return !NO_COMMAND.test(nameOf(parent) ?? '') && blockingCommand(call, sourceCode) === undefined
  }
  return (parent?.type === 'CallExpression' || parent?.type === 'NewExpression') && parent.arguments.some((each) => each === use) // prettier-ignore
}

/** `export const redis = …`, `export { redis }`, `export default redis`, `module.exports = { redis }`. */
function isExported(use: Node): boolean {
  for (let node = parentOf(use); node !== undefined; node = parentOf(node)) {
    if (/^Export(Named|Default)Declaration$/.test(node.type)) return true
    if (node.type === 'AssignmentExpression') return /^(module\.)?exports\b/.test(pathOf(node.left))
    if (!/^(VariableDeclarat(or|ion)|ExportSpecifier|Property|ObjectExpression)$/.test(node.type)) return false
  }
  return false
}

const pathOf = (node: Node): string =>
  node.type === 'MemberExpression' ? `${pathOf(node.object)}.${nameOf(node) ?? ''}` : (nameOf(node) ?? '')
