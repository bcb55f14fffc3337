import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'

export type FunctionNode = TSESTree.FunctionDeclaration | TSESTree.FunctionExpression | TSESTree.ArrowFunctionExpression

export function isFunction(node: Node | null | undefined): node is FunctionNode {
  return (
    node?.type === 'FunctionDeclaration' ||
    node?.type === 'FunctionExpression' ||
    node?.type === 'ArrowFunctionExpression'
  )
}

/** The expression inside parentheses that only types, chains and `await` add. */
export function bare(node: Node): Node {
  switch (node.type) {
    case 'TSAsExpression':
    case 'TSNonNullExpression':
    case 'TSSatisfiesExpression':
    case 'TSTypeAssertion':
    case 'ChainExpression':
      return bare(node.expression)
    case 'AwaitExpression':
      return bare(node.argument)
    default:
      return node
  }
}

/** `x` of `o.x` and `o['x']`, and the name of a plain or private property. */
export function nameOf(node: Node | null | undefined): string | undefined {
  if (node === null || node === undefined) return undefined
  if (node.type === 'Identifier' || node.type === 'PrivateIdentifier') return node.name
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value
  if (node.type === 'MemberExpression')
    return node.computed && node.property.type !== 'Literal' ? undefined : nameOf(node.property)
  return undefined
}

/** The method that a call names: `query` of `client.query(…)`. */
export function methodOf(call: Node): string | undefined {
  if (call.type !== 'CallExpression') return undefined
  const callee = bare(call.callee)
  return callee.type === 'MemberExpression' ? nameOf(callee) : undefined
}

/** What a method is called on: `client` of `client.query(…)`. */
export function receiverOf(call: Node): Node | undefined {
  if (call.type !== 'CallExpression') return undefined
  const callee = bare(call.callee)
  return callee.type === 'MemberExpression' ? bare(callee.object) : undefined
}

/** The text of a string literal, a template without holes, or the beginning of one with holes. */
export function textOf(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined
  const plain = bare(node)
  if (plain.type === 'Literal' && typeof plain.value === 'string') return plain.value
  if (plain.type === 'TemplateLiteral') return plain.quasis[0]?.value.raw
  return undefined
}

/** The number that an expression of literals comes to: `20`, `-1`, `60 * 1_000`, `Infinity`. */
export function numberOf(node: Node | undefined): number | undefined {
  if (node === undefined) return undefined
  const plain = bare(node)
  if (plain.type === 'Literal') return typeof plain.value === 'number' ? plain.value : undefined
  if (plain.type === 'Identifier') return plain.name === 'Infinity' ? Infinity : undefined
  if (plain.type === 'UnaryExpression' && plain.operator === '-') {
    const value = numberOf(plain.argument)
    return value === undefined ? undefined : -value
  }
  if (plain.type !== 'BinaryExpression') return undefined
  const [left, right] = [numberOf(plain.left), numberOf(plain.right)]
  if (left === undefined || right === undefined) return undefined
  switch (plain.operator) {
    case '*': return left * right
    case '+': return left + right
    case '-': return left - right
    case '/': return left / right
    default: return undefined
  }
} // prettier-ignore

/** The nodes directly below, in the order of the source. */
export function childrenOf(node: Node, sourceCode: SourceCode): Node[] {
  const keys = sourceCode.visitorKeys[node.type] ?? []
  const found: Node[] = []
  for (const key of keys) {
    const value = (node as unknown as Record<string, unknown>)[key]
    for (const each of Array.isArray(value) ? value : [value]) if (isNode(each)) found.push(each)
  }
  return found
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'

/** The first node below (or at) `node` that passes, without entering functions unless asked to. */
export function findBelow(
  node: Node,
  sourceCode: SourceCode,
  test: (node: Node) => boolean,
  intoFunctions = true,
): Node | undefined {
  if (test(node)) return node
  for (const child of childrenOf(node, sourceCode)) {
    if (!intoFunctions && isFunction(child)) continue
    const found = findBelow(child, sourceCode, test, intoFunctions)
    if (found !== undefined) return found
  }
  return undefined
}

/** The node above; the program has none, which ESLint calls null and its types undefined. */
export const parentOf = (node: Node): Node | undefined => node.parent ?? undefined

/** The innermost function around a node. */
export function functionAround(node: Node): FunctionNode | undefined {
  for (let each = parentOf(node); each !== undefined; each = parentOf(each)) if (isFunction(each)) return each
  return undefined
}

export function isInside(node: Node, ancestor: Node): boolean {
  for (let each: Node | undefined = node; each !== undefined; each = parentOf(each)) if (each === ancestor) return true
  return false
}

/** The property of an object literal with that name, the last one as JavaScript takes it. */
export function propertyOf(object: TSESTree.ObjectExpression, name: string): TSESTree.Property | undefined {
  return object.properties.findLast(
    (each): each is TSESTree.Property => each.type === 'Property' && !each.computed && nameOf(each.key) === name,
  )
}

export const hasSpread = (object: TSESTree.ObjectExpression): boolean =>
  object.properties.some(({ type }) => type === 'SpreadElement')
