import type { TSESTree } from '@typescript-eslint/utils'
import { functionAround, isFunction, methodOf, nameOf, propertyOf, receiverOf, textOf } from '../analysis/ast.ts'
import { outermost } from '../analysis/borrowing.ts'
import { ABSENT, follow, HELD, type Effects } from '../analysis/flow.ts'
import { isFinal } from '../analysis/loan.ts'
import { makerOfValue } from '../analysis/makers.ts'
import { exportOf } from '../analysis/modules.ts'
import { variableOf, type Variable } from '../analysis/variables.ts'
import { defineRule, optionsOf, type Node, type SourceCode } from '../rule.ts'

const DEFAULTS = { everyPath: false }
const READS =
  /^(body|json|text|arrayBuffer|blob|formData|bytes|clone|dump|pipe|pipeTo|resume|destroy|on|once|read|setEncoding)$/

export const noUnreadBody = defineRule({
  name: 'no-unread-body',
  description: 'Read, dump or cancel the body of each HTTP response: unread, it keeps its connection busy',
  set: 'recommended',
  types: true,
  options: {
    everyPath: {
      type: 'boolean',
      description: 'Whether `fetch` is held to every path too, as undici’s `request` always is.',
    },
  },
  defaults: DEFAULTS,
  messages: {
    never:
      'The body of this response is never read, so that its connection stays busy until the garbage collector happens by: with `connections: 1` the next request hangs. {{mend}}',
    onPath:
      'The body of this response is not read where the function leaves on line {{line}}, so that its connection stays busy. {{mend}}',
  },
  create(context) {
    const { sourceCode } = context
    const { everyPath } = optionsOf(context, DEFAULTS)
    return {
      CallExpression(node) {
        const source = sourceOf(node, sourceCode)
        if (source === undefined || isHead(node)) return
        const { mend } = source
        if (source.callback !== undefined) {
          const [parameter] = source.callback.params
          if (parameter?.type !== 'Identifier') return
          const variable = sourceCode.getDeclaredVariables(source.callback).find(({ name }) => name === parameter.name)
          if (variable !== undefined && !isRead(variable))
            context.report({ node: parameter, messageId: 'never', data: { mend } })
          return
        }
        const outer = outermost(node)
        const isAwaited = node.parent.type === 'AwaitExpression'
        const { parent } = outer
        if (!isAwaited || parent === undefined) return
        const never = (): void => {
          context.report({ node, messageId: 'never', data: { mend } })
        }
        if (parent.type === 'ExpressionStatement') never()
        if (parent.type === 'MemberExpression' && !READS.test(nameOf(parent) ?? 'body') && parent.object === outer)
          never()
        if (parent.type !== 'VariableDeclarator') return
        const held = heldBy(parent.id, sourceCode)
        if (held === undefined) return
        if (held === 'nothing' || !isRead(held)) never()
        else if (source.isStrict || everyPath) {
          const line = lineLeft(held, parent, sourceCode)
          if (line !== undefined) context.report({ node, messageId: 'onPath', data: { mend, line } })
        }
      },
    }
  },
})

interface Source {
  readonly mend: string
  readonly isStrict: boolean
  readonly callback?: TSESTree.FunctionExpression | TSESTree.ArrowFunctionExpression
}

function sourceOf(call: TSESTree.CallExpression, sourceCode: SourceCode): Source | undefined {
  const from = exportOf(call.callee, sourceCode)
  const name = from?.path.join('.')
  if (from !== undefined && /^https?$/.test(from.module) && /^(get|request)$/.test(name ?? '')) {
    const callback = call.arguments.at(-1)
    if (!isFunction(callback)) return undefined
    return { mend: 'Call `resume()` on it.', isStrict: true, callback }
  }
  if (from?.module === 'undici' && name === 'request') return UNDICI
  if ((from?.module === 'undici' || from?.module === 'node-fetch') && (name === 'fetch' || name === '')) return FETCH
  if (call.callee.type === 'Identifier' && call.callee.name === 'fetch')
    return (variableOf(call.callee, sourceCode)?.defs.length ?? 0) === 0 ? FETCH : undefined
  const on = receiverOf(call)
  const maker = on === undefined ? undefined : makerOfValue(on, sourceCode)
  if (maker?.driver === 'undici' && methodOf(call) === 'request') return UNDICI
  return maker?.modules.includes('millpond/http') === true && methodOf(call) === 'fetch' ? FETCH : undefined
}

const UNDICI: Source = { mend: 'Call `await body.dump()`.', isStrict: true }
const FETCH: Source = { mend: 'Call `await response.body?.cancel()`.', isStrict: false }

const isHead = (call: TSESTree.CallExpression): boolean =>
  call.arguments.some(
    (each) => each.type === 'ObjectExpression' && textOf(propertyOf(each, 'method')?.value) === 'HEAD',
  )

/** The variable through which the body is reached; none where destructuring leaves it out. */
function heldBy(target: Node, sourceCode: SourceCode): Variable | 'nothing' | undefined {
  if (target.type === 'Identifier') return variableOf(target, sourceCode)
  if (target.type !== 'ObjectPattern') return undefined
  if (target.properties.some(({ type }) => type === 'RestElement')) return undefined
  const body = target.properties.find((each) => each.type === 'Property' && READS.test(nameOf(each.key) ?? ''))
  return body === undefined ? 'nothing' : variableOf(body.value as Node, sourceCode)
}

const isRead = (variable: Variable): boolean =>
  variable.references.some(({ identifier }) => reads(identifier, variable))

/** A mention that reads the body, or hands the response on. */
function reads(identifier: Node, variable: Variable): boolean {
  const { parent } = identifier
  if (parent === undefined || variable.identifiers.includes(identifier as TSESTree.Identifier)) return false
  if (parent.type === 'MemberExpression' && parent.object === identifier)
    return READS.test(nameOf(parent) ?? 'body') || READS.test(variable.name)
  return (
    !/^(VariableDeclarator|UnaryExpression|BinaryExpression|IfStatement|LogicalExpression|Property)$/.test(
      parent.type,
    ) ||
    (parent.type === 'VariableDeclarator' && parent.init === identifier) ||
    (parent.type === 'Property' && parent.parent.type === 'ObjectExpression')
  )
}

/** The line of a return or throw before which nothing has read the body. */
function lineLeft(variable: Variable, declarator: Node, sourceCode: SourceCode): number | undefined {
  const effects: Effects = {
    effectOf: (node) => {
      if (node === declarator) return 'acquire'
      return node.type === 'Identifier' &&
        variable.references.some((each) => each.identifier === node) &&
        reads(node, variable)
        ? 'escape'
        : undefined
    },
    mayThrow: () => false,
    roleOf: () => 'none',
    testOf: () => undefined,
    isFinal,
  }
  const fn = functionAround(declarator)
  const { exits } = follow(fn?.body ?? sourceCode.ast, ABSENT, effects, sourceCode)
  return exits.find(({ kind, states }) => (kind === 'return' || kind === 'throw') && (states & HELD) !== 0)?.node.loc
    .start.line
}
