import type { TSESTree } from '@typescript-eslint/utils'
import type { Maker } from '../data/drivers.ts'
import type { Node, SourceCode } from '../rule.ts'
import { bare, findBelow, functionAround, isFunction, methodOf, nameOf, receiverOf, type FunctionNode } from './ast.ts'
import { isForeign, makerOfValue } from './makers.ts'
import { isTyped } from './types.ts'
import { functionOf, variableOf, type Variable } from './variables.ts'

/** A call that lends something: `pool.connect()`, `pool.getConnection(callback)`, `pool.acquire()`. */
export interface Acquire {
  readonly call: TSESTree.CallExpression
  readonly pool: Node
  /** Unknown where only the name of the pool tells that it is one. */
  readonly maker: Maker | undefined
  readonly callback: FunctionNode | undefined
}

/** Something borrowed that has a name, and the code in which it is borrowed. */
export interface Borrowing {
  readonly acquire: Acquire
  readonly name: string
  readonly variable: Variable
  /** The function, or the program, that has the duty to give back. */
  readonly owner: FunctionNode | TSESTree.Program
  /** Borrowed already at the owner's first statement: it is the callback. */
  readonly fromStart: boolean
  /** The first parameter of the callback: given instead of what was to be borrowed. */
  readonly error: Variable | undefined
  /** The callback's third parameter, which gives back. */
  readonly done: Variable | undefined
}

const LENDING_METHODS = ['connect', 'getConnection', 'acquire']

/** Whether a call borrows from a pool. */
export function acquireOf(call: TSESTree.CallExpression, sourceCode: SourceCode): Acquire | undefined {
  const [method, pool] = [methodOf(call), receiverOf(call)]
  if (method === undefined || pool === undefined) return undefined
  if (!LENDING_METHODS.includes(method) && method !== 'tryAcquire') return undefined
  const last = call.arguments.at(-1)
  const callback = last === undefined ? undefined : functionOf(last, sourceCode)
  const maker = makerOfValue(pool, sourceCode)
  if (maker !== undefined) return maker.lends?.includes(method) === true ? { call, pool, maker, callback } : undefined
  return looksLikePool(pool, sourceCode) && (call.arguments.length === 0 || callback !== undefined)
    ? { call, pool, maker: undefined, callback }
    : undefined
}

/** A pool by its name alone: imported from another file of the project, a parameter, a field. */
export function looksLikePool(node: Node, sourceCode: SourceCode): boolean {
  const name = nameOf(node)
  if (name === undefined || !/pool$/i.test(name)) return false
  return isForeign(node, sourceCode) && !isTyped(node, sourceCode)
}

/** What an acquire is bound to; undefined when it is passed on, or dropped. */
export function borrowingOf(acquire: Acquire, sourceCode: SourceCode): Borrowing | undefined {
  const { call, callback } = acquire
  if (callback !== undefined) {
    const [error, resource, done] = parametersOf(callback, sourceCode)
    return resource === undefined ? undefined : inCallback(acquire, callback, resource, error, done)
  }
  const outer = outermost(call)
  const parent = outer.parent
  if (parent?.type === 'MemberExpression' && nameOf(parent) === 'then' && parent.parent.type === 'CallExpression') {
    const [then] = parent.parent.arguments
    if (!isFunction(then)) return undefined
    const [resource] = parametersOf(then, sourceCode)
    return resource === undefined ? undefined : inCallback(acquire, then, resource, undefined, undefined)
  }
  // Not awaited, it is a promise that somebody else may await; only `tryAcquire` lends at once.
  if (!isAwaited(call) && methodOf(call) !== 'tryAcquire') return undefined
  const target = targetOf(outer)
  if (target?.type !== 'Identifier') return undefined
  const variable = variableOf(target, sourceCode)
  const owner = functionAround(call) ?? sourceCode.ast
  // A variable of an outer scope outlives the function: whoever set it there gives back elsewhere.
  if (variable === undefined || (functionAround(variable.identifiers[0] ?? target) ?? sourceCode.ast) !== owner)
    return undefined
  const borrowing: Borrowing = {
    acquire, name: variable.name, variable, owner, fromStart: false, error: undefined, done: undefined,
  } // prettier-ignore
  return acquire.maker !== undefined || isUsedAsLoan(borrowing) ? borrowing : undefined
}

function inCallback(
  acquire: Acquire,
  owner: FunctionNode,
  variable: Variable,
  error: Variable | undefined,
  done: Variable | undefined,
): Borrowing | undefined {
  const borrowing = { acquire, name: variable.name, variable, owner, fromStart: true, error, done }
  return acquire.maker !== undefined || isUsedAsLoan(borrowing) ? borrowing : undefined
}

function parametersOf(fn: FunctionNode, sourceCode: SourceCode): (Variable | undefined)[] {
  const variables = sourceCode.getDeclaredVariables(fn)
  return fn.params.map((param) =>
    param.type === 'Identifier' ? variables.find(({ identifiers }) => identifiers.includes(param)) : undefined,
  )
}

/** The call with what only surrounds it: `await`, types, parentheses, tarn's `.promise`. */
export function outermost(call: Node): Node {
  let node = call
  for (let parent = node.parent; parent !== undefined; parent = node.parent) {
    const isPromise = parent.type === 'MemberExpression' && nameOf(parent) === 'promise'
    if (bare(parent) === bare(node) || isPromise) node = parent
    else break
  }
  return node
}

function isAwaited(call: Node): boolean {
  const outer = outermost(call)
  for (let node = call; node !== outer && node.parent !== undefined; node = node.parent)
    if (node.parent.type === 'AwaitExpression') return true
  return false
}

function targetOf(node: Node): Node | undefined {
  const { parent } = node
  if (parent?.type === 'VariableDeclarator' && parent.init === node) {
    const { kind } = parent.parent
    return kind === 'using' || kind === 'await using' ? undefined : parent.id
  }
  return parent?.type === 'AssignmentExpression' && parent.right === node ? parent.left : undefined
}

/** Where only a name says "pool", the thing borrowed must behave like one: something is asked of it, or it is given back. */
function isUsedAsLoan({ variable }: Pick<Borrowing, 'variable'>): boolean {
  return variable.references.some(({ identifier }) => {
    const { parent } = identifier
    return (
      parent.type === 'MemberExpression' &&
      parent.object === identifier &&
      /^(release|query|execute|beginTransaction|resource)$/.test(nameOf(parent) ?? '')
    )
  })
}

/** Whether the borrowing is for good, such as a connection that listens for notifications. */
export function isKeptOnPurpose({ variable, owner }: Borrowing, sourceCode: SourceCode): boolean {
  const listens = (node: Node): boolean =>
    (node.type === 'Literal' &&
      typeof node.value === 'string' &&
      /^\s*(LISTEN|CREATE_REPLICATION_SLOT)\b/i.test(node.value)) ||
    (node.type === 'TemplateElement' && /^\s*LISTEN\b/i.test(node.value.raw))
  const isNotified = variable.references.some(({ identifier: { parent } }) => {
    const call = parent.parent
    return (
      parent.type === 'MemberExpression' &&
      nameOf(parent) === 'on' &&
      call?.type === 'CallExpression' &&
      call.arguments[0]?.type === 'Literal' &&
      call.arguments[0].value === 'notification'
    )
  })
  return isNotified || findBelow(owner, sourceCode, listens) !== undefined
}
