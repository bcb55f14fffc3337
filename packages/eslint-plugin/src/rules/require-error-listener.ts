import type { TSESTree } from '@typescript-eslint/utils'
import { bare, methodOf, nameOf, parentOf, receiverOf, textOf } from '../analysis/ast.ts'
import { creationOf, keptIn, type Creation } from '../analysis/makers.ts'
import { exportOf } from '../analysis/modules.ts'
import { isSame } from '../analysis/variables.ts'
import { DRIVER_NAMES } from '../data/drivers.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

export const requireErrorListener = defineRule({
  name: 'require-error-listener',
  description:
    'Listen to the error event of a pool or client: without a listener, a lost connection can end the process',
  set: 'recommended',
  suggests: true,
  messages: {
    crash:
      "Nobody listens to the errors of this {{driver}} {{role}}: when the server ends a connection that nobody uses, Node throws the event and the process ends. Add `{{name}}.on('error', …)`.",
    log: "Nobody listens to the errors of this {{driver}} client: every failed attempt to connect is printed as an unhandled error event, and your program does not learn of it. Add `{{name}}.on('error', …)`.",
    add: "Add `{{name}}.on('error', …)`.",
  },
  create(context) {
    const { sourceCode } = context
    const creations: Creation[] = []
    const heard: Node[] = []
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      if (creation?.maker.errorEvent !== undefined && !isChained(node)) creations.push(creation)
    }
    return {
      NewExpression: check,
      CallExpression(node) {
        check(node)
        const on = receiverOf(node)
        if (on !== undefined && listensToErrors(node)) heard.push(on)
        // A function of the project may add the listener: `watch(pool)`.
        else if (isOwnFunction(node, sourceCode)) heard.push(...node.arguments.map(bare))
      },
      'Program:exit'() {
        for (const { node, maker } of creations) {
          const kept = keptIn(node)
          if (kept !== undefined && heard.some((each) => isKept(each, kept, sourceCode))) continue
          // What is returned or passed on is somebody else's to listen to.
          if (kept === undefined && !isStatement(node)) continue
          const name = kept === undefined ? 'client' : (nameOf(kept) ?? 'client')
          const data = { driver: DRIVER_NAMES[maker.driver] ?? maker.driver, role: maker.role, name }
          const after = kept?.type === 'Identifier' ? statementOf(node) : undefined
          const line = `${name}.on('error', (error) => console.error(error))`
          context.report({
            node,
            messageId: maker.errorEvent ?? 'crash',
            data,
            suggest:
              after === undefined
                ? []
                : [
                    {
                      messageId: 'add',
                      data,
                      fix: (fixer) => fixer.insertTextAfter(after, `\n${' '.repeat(after.loc.start.column)}${line}`),
                    },
                  ],
          })
        }
      },
    }
  },
})

const listensToErrors = (call: Node): boolean =>
  call.type === 'CallExpression' &&
  /^(on|once|addListener|prependListener)$/.test(methodOf(call) ?? '') &&
  textOf(call.arguments[0]) === 'error'

/** `createClient().on('error', …)`, with other methods between. */
function isChained(creation: Node): boolean {
  for (let node = creation; ;) {
    const member = parentOf(node)
    const call = member === undefined ? undefined : parentOf(member)
    if (member?.type !== 'MemberExpression' || call?.type !== 'CallExpression' || call.callee !== member) return false
    if (listensToErrors(call)) return true
    node = call
  }
}

function isOwnFunction(call: TSESTree.CallExpression, sourceCode: SourceCode): boolean {
  if (call.callee.type !== 'Identifier') return false
  const module = exportOf(call.callee, sourceCode)?.module
  return module === undefined || module.startsWith('.')
}

function isKept(heard: Node, kept: Node, sourceCode: SourceCode): boolean {
  if (kept.type === 'Identifier' && heard.type === 'MemberExpression')
    return nameOf(heard) === kept.name && isField(kept)
  return isSame(heard, kept, sourceCode)
}

const isField = (kept: Node): boolean => parentOf(kept)?.type === 'PropertyDefinition'

const isStatement = (node: Node): boolean => {
  const parent = parentOf(node)
  return parent?.type === 'ExpressionStatement' || parent?.type === 'AwaitExpression'
}

/** The declaration that makes it, with its `export`. */
function statementOf(node: Node): Node | undefined {
  const parent = parentOf(node)
  if (parent?.type !== 'VariableDeclarator') return undefined
  const declaration = parent.parent
  return declaration.parent.type === 'ExportNamedDeclaration' ? declaration.parent : declaration
}
