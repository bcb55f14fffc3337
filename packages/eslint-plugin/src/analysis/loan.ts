import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { bare, findBelow, isFunction, isInside, methodOf, nameOf, receiverOf, type FunctionNode } from './ast.ts'
import { borrowingOf, acquireOf, type Borrowing } from './borrowing.ts'
import { ABSENT, follow, HELD, type Effects, type Report } from './flow.ts'
import { variableOf } from './variables.ts'

/** Methods of something borrowed that give it back. */
const OWN_ENDS = new Set(['release', 'destroy', 'end', 'close', 'removeFromPool'])
/** Functions and methods of a pool that give back what they are handed. */
const TAKING_BACK = /^(release\w*|destroy|remove|free|giveBack|giveback|putBack|dispose|cleanup|safeRelease)$/i
/** Functions and methods that keep what they are handed. */
const KEEPING = /^(push|add|set|unshift|enqueue|emit|resolve|next|cb|callback|done|fulfil+|return)$/
const HARMLESS_ROOTS = new Set(['console', 'Math', 'Date', 'performance', 'log', 'logger', 'debug', 'Symbol', 'Number', 'Boolean', 'String']) // prettier-ignore
const HARMLESS_METHODS = new Set(['on', 'once', 'off', 'addListener', 'removeListener', 'removeAllListeners', 'setMaxListeners', 'now', 'hrtime', 'bigint', 'log', 'debug', 'info', 'warn']) // prettier-ignore

/** The effects of each node on what is borrowed. */
export function effectsOf(borrowing: Borrowing, sourceCode: SourceCode): Effects {
  const loan = new LoanEffects(borrowing, sourceCode)
  return {
    effectOf: (node) => loan.effectOf(node),
    mayThrow: (node) => loan.mayThrow(node),
    roleOf: (fn) => loan.roleOf(fn),
    testOf: (node) => loan.testOf(node),
    isFinal,
  }
}

/** What happens to what is borrowed, on every path. */
export function followLoan(
  borrowing: Borrowing,
  sourceCode: SourceCode,
  effects = effectsOf(borrowing, sourceCode),
): Report {
  const { owner, fromStart, error } = borrowing
  // A callback is given an error, or what was to be borrowed.
  const atStart = error === undefined ? HELD : HELD | ABSENT
  return follow(isFunction(owner) ? owner.body : owner, fromStart ? atStart : ABSENT, effects, sourceCode)
}

/** Whether a node ends the loan of this borrowing: asked by rules that look at the places themselves. */
export function endsLoan(node: Node, borrowing: Borrowing, sourceCode: SourceCode): boolean {
  return new LoanEffects(borrowing, sourceCode).effectOf(node) === 'end'
}

/** Whether the borrower gives back anywhere at all, callbacks included. */
export function isEverEnded(borrowing: Borrowing, sourceCode: SourceCode): boolean {
  const loan = new LoanEffects(borrowing, sourceCode)
  return findBelow(borrowing.owner, sourceCode, (node) => loan.effectOf(node) === 'end') !== undefined
}

class LoanEffects {
  readonly #borrowing: Borrowing
  readonly #sourceCode: SourceCode
  readonly #owns: boolean

  constructor(borrowing: Borrowing, sourceCode: SourceCode) {
    this.#borrowing = borrowing
    this.#sourceCode = sourceCode
    // Who gives back on one path has the duty on all; who never does may have handed it to the function that was called.
    this.#owns = findBelow(borrowing.owner, sourceCode, (node) => this.#isEnd(node)) !== undefined
  }

  effectOf(node: Node): ReturnType<Effects['effectOf']> {
    if (this.#isEnd(node)) return 'end'
    if (node.type === 'VariableDeclarator' || node.type === 'AssignmentExpression') {
      const [target, value] = node.type === 'VariableDeclarator' ? [node.id, node.init] : [node.left, node.right]
      if (target.type !== 'Identifier' || value === null || !this.#isResource(target)) return undefined
      return this.#acquires(value) ?? 'clear'
    }
    if (this.#isResource(node)) return this.#mentionOf(node)
    return this.#isHandedOver(node) ? 'escape' : undefined
  }

  /** `stream.on('end', done)`, `work.finally(client.release)`: who gets the means to give back has the duty. */
  #isHandedOver(node: Node): boolean {
    const { done } = this.#borrowing
    const { parent } = node
    if (parent === undefined) return false
    if (
      node.type === 'Identifier' &&
      done !== undefined &&
      done.references.some(({ identifier }) => identifier === node)
    )
      return !(parent.type === 'CallExpression' && parent.callee === node)
    return (
      node.type === 'MemberExpression' &&
      this.#isResource(bare(node.object)) &&
      OWN_ENDS.has(nameOf(node) ?? '') &&
      parent.type !== 'ChainExpression' &&
      !(parent.type === 'CallExpression' && parent.callee === node)
    )
  }

  mayThrow(node: Node): boolean {
    switch (node.type) {
      case 'AwaitExpression':
        // What is awaited has been judged by itself.
        return !(node.argument.type === 'CallExpression' && this.#isHarmless(node.argument))
      case 'CallExpression':
        return !this.#isHarmless(node)
      case 'YieldExpression':
      case 'TaggedTemplateExpression':
      case 'ImportExpression':
        return true
      default:
        return false
    }
  }

  roleOf(fn: FunctionNode): ReturnType<Effects['roleOf']> {
    const { parent } = fn
    const isCalled = parent.type === 'CallExpression' && parent.callee === fn
    const isExecutor =
      parent.type === 'NewExpression' && parent.callee.type === 'Identifier' && parent.callee.name === 'Promise'
    if (isCalled || isExecutor) return 'inline'
    const takes = (node: Node): boolean => {
      const effect = this.effectOf(node)
      return effect === 'end' || effect === 'escape'
    }
    if (findBelow(fn.body, this.#sourceCode, takes) === undefined) return 'none'
    // A function with a name counts where it is called.
    if (parent.type === 'VariableDeclarator') return 'none'
    const isArgument = parent.type === 'CallExpression' && parent.arguments.some((each) => each === fn)
    const on = isArgument ? receiverOf(parent) : undefined
    const isEvent = isArgument && /^(on|once|addListener|then|finally|catch)$/.test(methodOf(parent) ?? '')
    return on !== undefined && this.#isResource(on) && !isEvent ? 'continuation' : 'escape'
  }

  testOf(node: Node): ReturnType<Effects['testOf']> {
    const { error, variable } = this.#borrowing
    const asked = comparedWithNothing(node)
    if (asked !== undefined) {
      const name = variableOf(asked.value, this.#sourceCode)
      if (name === variable) return asked.isThere ? 'present' : 'missing'
      if (name !== undefined && name === error) return asked.isThere ? 'missing' : 'present'
    }
    // `if (lease.released) return`
    if (node.type === 'MemberExpression' && this.#isResource(node.object) && nameOf(node) === 'released')
      return 'missing'
    return this.#isFlag(node) ? 'flag' : undefined
  }

  /** `let released = false`, `this.released`, `client.released`: written along the way. */
  #isFlag(node: Node): boolean {
    const plain = node.type === 'UnaryExpression' ? node.argument : node
    if (plain.type === 'MemberExpression') return true
    const definition = variableOf(plain, this.#sourceCode)?.defs[0]
    return definition?.parent?.type === 'VariableDeclaration' && definition.parent.kind === 'let'
  }

  #isResource(node: Node): boolean {
    return (
      node.type === 'Identifier' &&
      node.name === this.#borrowing.name &&
      this.#borrowing.variable.references.some(({ identifier }) => identifier === node)
    )
  }

  #acquires(value: Node): 'acquire' | 'try-acquire' | undefined {
    const plain = bare(value)
    const call = plain.type === 'MemberExpression' && nameOf(plain) === 'promise' ? bare(plain.object) : plain
    if (call.type !== 'CallExpression' || acquireOf(call, this.#sourceCode) === undefined) return undefined
    return methodOf(call) === 'tryAcquire' ? 'try-acquire' : 'acquire'
  }

  #isEnd(node: Node): boolean {
    if (node.type !== 'CallExpression') return false
    const { done } = this.#borrowing
    const callee = bare(node.callee)
    if (callee.type === 'Identifier') {
      const called = variableOf(callee, this.#sourceCode)
      if (called !== undefined && called === done) return true
      if (TAKING_BACK.test(callee.name) && node.arguments.some((each) => this.#isResource(bare(each)))) return true
      const definition = called?.defs[0]
      return definition?.type !== 'Parameter' && this.#isLocalEnd(definition?.node)
    }
    if (callee.type !== 'MemberExpression') return false
    const method = nameOf(callee)
    if (this.#isResource(bare(callee.object))) return method === undefined ? isDispose(callee) : OWN_ENDS.has(method)
    return TAKING_BACK.test(method ?? '') && node.arguments.some((each) => this.#isResource(bare(each)))
  }

  /** `const cleanup = () => client.release()`, then `cleanup()`. */
  #isLocalEnd(definition: Node | undefined): boolean {
    const fn = definition?.type === 'VariableDeclarator' ? definition.init : definition
    const { owner } = this.#borrowing
    if (!isFunction(fn) || fn === owner || !isInside(fn, owner) || this.#looking.has(fn)) return false
    this.#looking.add(fn)
    const found = findBelow(fn.body, this.#sourceCode, (node) => this.#isEnd(node)) !== undefined
    this.#looking.delete(fn)
    return found
  }
  readonly #looking = new Set<Node>()

  #mentionOf(node: Node): 'escape' | 'use' | undefined {
    const outer = outermostOf(node)
    const parent = outer.parent as Node
    switch (parent.type) {
      case 'MemberExpression':
        return parent.object === outer ? 'use' : undefined
      case 'UnaryExpression':
      case 'BinaryExpression':
      case 'IfStatement':
      case 'ConditionalExpression':
      case 'LogicalExpression':
      case 'ExpressionStatement':
      case 'WhileStatement':
        return undefined
      case 'VariableDeclarator':
      case 'AssignmentExpression': {
        const [target, value] =
          parent.type === 'VariableDeclarator' ? [parent.id, parent.init] : [parent.left, parent.right]
        // `const { resource } = lease` takes a part of it and leaves the duty.
        return value === outer && target.type !== 'ObjectPattern' ? 'escape' : undefined
      }
      case 'NewExpression':
        return 'escape'
      case 'CallExpression': {
        const name = methodOf(parent) ?? nameOf(bare(parent.callee)) ?? ''
        if (TAKING_BACK.test(name)) return undefined
        return this.#owns && !KEEPING.test(name) ? 'use' : 'escape'
      }
      case 'Property': {
        // `run({ client })` lends it on, `return { client }` gives it away.
        const call = parent.parent.parent
        return this.#owns && call.type === 'CallExpression' && !KEEPING.test(methodOf(call) ?? '') ? 'use' : 'escape'
      }
      default:
        return 'escape'
    }
  }

  #isHarmless(call: TSESTree.CallExpression): boolean {
    if (this.#isEnd(call)) return true
    // What is asked of a connection fails later: by its promise, its callback or its stream.
    const on = receiverOf(call)
    if (on !== undefined && this.#isResource(on) && call.parent.type !== 'AwaitExpression') return true
    const callee = bare(call.callee)
    const root = rootOf(callee)
    if (root !== undefined && HARMLESS_ROOTS.has(root)) return true
    const method = methodOf(call)
    if (method !== undefined && HARMLESS_METHODS.has(method)) return true
    return callee.type === 'Identifier' && /^(set|clear)(Timeout|Interval|Immediate)$/.test(callee.name)
  }
}

/** `process.exit()` and a test's `fail()` come to no other statement. */
export const isFinal = (node: Node): boolean => {
  if (node.type !== 'CallExpression') return false
  const on = receiverOf(node)
  return on?.type === 'Identifier' && on.name === 'process' && /^(exit|abort)$/.test(methodOf(node) ?? '')
}

const isDispose = (callee: TSESTree.MemberExpression): boolean =>
  callee.property.type === 'MemberExpression' && /^(dispose|asyncDispose)$/.test(nameOf(callee.property) ?? '')

function outermostOf(node: Node): Node {
  let outer = node
  while (outer.parent !== undefined && /^(TS(As|NonNull|Satisfies)Expression|ChainExpression)$/.test(outer.parent.type))
    outer = outer.parent
  return outer
}

function rootOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name
  return node.type === 'MemberExpression' ? rootOf(bare(node.object)) : undefined
}

/** `x`, `x != null`, `x === undefined`, and what they ask. */
function comparedWithNothing(node: Node): { value: Node; isThere: boolean } | undefined {
  if (node.type === 'Identifier') return { value: node, isThere: true }
  if (node.type !== 'BinaryExpression' || !/^[!=]==?$/.test(node.operator)) return undefined
  const isNothing =
    (node.right.type === 'Literal' && node.right.value === null) ||
    (node.right.type === 'Identifier' && node.right.name === 'undefined')
  return isNothing ? { value: node.left, isThere: node.operator.startsWith('!') } : undefined
}

/** Each borrowing of a file, told to `visit` once. */
export function eachBorrowing(
  sourceCode: SourceCode,
  visit: (borrowing: Borrowing) => void,
): (node: TSESTree.CallExpression) => void {
  const seen = new Set<unknown>()
  return (node) => {
    const acquire = acquireOf(node, sourceCode)
    const borrowing = acquire === undefined ? undefined : borrowingOf(acquire, sourceCode)
    if (borrowing === undefined || seen.has(borrowing.variable)) return
    seen.add(borrowing.variable)
    visit(borrowing)
  }
}
