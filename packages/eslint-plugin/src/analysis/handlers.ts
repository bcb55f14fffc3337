import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { bare, functionAround, methodOf, nameOf, parentOf, textOf, type FunctionNode } from './ast.ts'
import { keptIn } from './makers.ts'
import { functionOf, variableOf } from './variables.ts'

/** Why a function runs once per request: the words for a message. */
export type Occasion = 'request' | 'invocation' | 'job'

const ROUTES = /^(get|post|put|patch|delete|del|all|use|options|head|route|on)$/
const VERBS = /^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)$/
const PAGE_FUNCTIONS = /^(loader|action|getServerSideProps|middleware|onRequest(Get|Post|Put|Patch|Delete)?)$/
const DECORATORS =
  /^(Get|Post|Put|Patch|Delete|All|Head|MessagePattern|EventPattern|GrpcMethod|Query|Mutation|Subscription)$/
const FIRST = /^_?(req|request)$/
const SECOND = /^_?(res|response|reply)$/

/** On which occasion a function itself is called anew, by where it stands and what it is given. */
export function occasionOf(fn: FunctionNode): Occasion | undefined {
  const [first, second] = fn.params.map(parameterName)
  if (FIRST.test(first ?? '') && SECOND.test(second ?? '')) return 'request'
  if (/^_?event$/.test(first ?? '') && /^_?(context|callback)$/.test(second ?? '')) return 'invocation'
  const parent = parentOf(fn)
  if (parent === undefined) return undefined
  if (parent.type === 'CallExpression') return registered(parent, first)
  if (parent.type === 'NewExpression')
    return nameOf(parent.callee) === 'Worker' && parent.arguments[1] === fn ? 'job' : undefined
  if (parent.type === 'MethodDefinition') return isDecorated(parent) ? 'request' : undefined
  return exported(fn, parent)
}

function registered(call: TSESTree.CallExpression, first: string | undefined): Occasion | undefined {
  const name = methodOf(call) ?? nameOf(bare(call.callee)) ?? ''
  const route = textOf(call.arguments[0])
  if (ROUTES.test(name) && (route?.startsWith('/') === true || (route === 'request' && name === 'on'))) return 'request'
  if (/^(createServer|serve)$/.test(name)) return 'request'
  return ROUTES.test(name) &&
    /^(req|request|ctx|c)$/.test(first ?? '') &&
    call.arguments.length <= 2 &&
    methodOf(call) !== undefined
    ? 'request'
    : undefined
}

function exported(fn: FunctionNode, parent: Node): Occasion | undefined {
  const isDeclared = parent.type === 'VariableDeclarator'
  const name = fn.type === 'FunctionDeclaration' ? fn.id?.name : isDeclared ? nameOf(parent.id) : undefined
  const statement = isDeclared ? parent.parent.parent : parent
  if (statement.type === 'ExportNamedDeclaration' && name !== undefined) {
    if (name === 'handler') return 'invocation'
    if (VERBS.test(name) || PAGE_FUNCTIONS.test(name)) return 'request'
  }
  // exports.handler = …
  if (
    parent.type === 'AssignmentExpression' &&
    nameOf(parent.left) === 'handler' &&
    parent.left.type === 'MemberExpression'
  )
    return 'invocation'
  // export default { fetch(request) { … } }
  if (parent.type === 'Property' && nameOf(parent.key) === 'fetch') {
    const object = parent.parent.parent
    if (object.type === 'ExportDefaultDeclaration') return 'request'
  }
  const [directive] = fn.body.type === 'BlockStatement' ? fn.body.body : []
  const isAction = directive?.type === 'ExpressionStatement' && directive.directive === 'use server'
  return isAction ? 'request' : undefined
}

function isDecorated(method: TSESTree.MethodDefinition): boolean {
  return method.decorators.some(({ expression }) => {
    const called = expression.type === 'CallExpression' ? expression.callee : expression
    return DECORATORS.test(nameOf(called) ?? '')
  })
}

const parameterName = (parameter: TSESTree.Parameter): string | undefined =>
  parameter.type === 'AssignmentPattern' ? nameOf(parameter.left) : nameOf(parameter)

/** Which functions of a file run per request, those included that others call. Filled while the file is walked. */
export class Occasions {
  readonly #own = new Map<FunctionNode, Occasion>()
  readonly #calls: { readonly from: FunctionNode; readonly to: FunctionNode }[] = []
  readonly #sourceCode: SourceCode

  constructor(sourceCode: SourceCode) {
    this.#sourceCode = sourceCode
  }

  seeFunction(fn: FunctionNode): void {
    const occasion = occasionOf(fn)
    if (occasion !== undefined) this.#own.set(fn, occasion)
  }

  seeCall(call: TSESTree.CallExpression): void {
    const from = functionAround(call)
    const to = call.callee.type === 'Identifier' ? functionOf(call.callee, this.#sourceCode) : undefined
    if (from !== undefined && to !== undefined && !outlives(call, this.#sourceCode)) this.#calls.push({ from, to })
    // A handler that is registered by its name.
    for (const argument of call.arguments) {
      if (argument.type !== 'Identifier') continue
      const fn = functionOf(argument, this.#sourceCode)
      const name = methodOf(call) ?? nameOf(call.callee) ?? ''
      if (
        fn !== undefined &&
        ((ROUTES.test(name) && textOf(call.arguments[0])?.startsWith('/') === true) || name === 'createServer')
      )
        this.#own.set(fn, 'request')
    }
  }

  /** On which occasion a node runs anew; undefined when it does once. */
  of(node: Node): Occasion | undefined {
    const reached = this.#reached()
    for (let fn = functionAround(node); fn !== undefined; fn = functionAround(fn)) {
      const occasion = reached.get(fn)
      if (occasion !== undefined) return occasion
      if (isMadeOnce(fn)) return undefined
    }
    return undefined
  }

  #reached(): Map<FunctionNode, Occasion> {
    const reached = new Map(this.#own)
    for (let size = -1; size !== reached.size;) {
      size = reached.size
      for (const { from, to } of this.#calls) {
        for (let fn: FunctionNode | undefined = from; fn !== undefined; fn = functionAround(fn)) {
          const occasion = reached.get(fn)
          if (occasion !== undefined && !reached.has(to)) reached.set(to, occasion)
        }
      }
    }
    return reached
  }
}

/** A function that a cache calls once: `definePool('orders', () => …)`, `once(() => …)`. */
function isMadeOnce(fn: FunctionNode): boolean {
  const { parent } = fn
  if (parent.type !== 'CallExpression' && parent.type !== 'NewExpression') return false
  return /^(definePool|once|memo\w*|lazy|cache|cached|singleton|PoolGroup|getOrCreate|computeIfAbsent)$/i.test(
    (parent.type === 'CallExpression' ? methodOf(parent) : undefined) ?? nameOf(bare(parent.callee)) ?? '',
  )
}

/** Whether a value is kept where it outlives the call that made it: an outer variable, a field, a map, a default for either. */
export function outlives(node: Node, sourceCode: SourceCode): boolean {
  const kept = keptIn(node)
  if (kept !== undefined) {
    if (kept.type !== 'Identifier') return kept.type === 'MemberExpression'
    const declared = variableOf(kept, sourceCode)?.identifiers[0]
    if (declared === undefined || functionAround(declared) !== functionAround(node)) return true
    return isStored(kept, sourceCode)
  }
  let outer = node
  while (outer.parent !== undefined && bare(outer.parent) === bare(node)) outer = outer.parent
  const { parent } = outer
  if (parent?.type === 'LogicalExpression') return parent.right === outer
  if (parent?.type === 'CallExpression') return /^(set|push|add|register|defineProperty)$/.test(methodOf(parent) ?? '')
  return false
}

/** `const pool = new Pool(); pools.set(tenant, pool)` */
function isStored(name: TSESTree.Identifier, sourceCode: SourceCode): boolean {
  return (variableOf(name, sourceCode)?.references ?? []).some(({ identifier }) => {
    const { parent } = identifier
    if (parent.type === 'CallExpression' && identifier !== (parent.callee as Node))
      return /^(set|push|add|register)$/.test(methodOf(parent) ?? '')
    if (parent.type !== 'AssignmentExpression' || parent.right !== (identifier as Node)) return false
    if (parent.left.type === 'MemberExpression') return true
    const declared = variableOf(parent.left, sourceCode)?.identifiers[0]
    return declared !== undefined && functionAround(declared) !== functionAround(name)
  })
}
