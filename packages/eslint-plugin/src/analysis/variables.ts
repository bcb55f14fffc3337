import type { TSESLint } from '@typescript-eslint/utils'
import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { bare, isFunction, nameOf, parentOf, type FunctionNode } from './ast.ts'

export type Variable = TSESLint.Scope.Variable

/** The variable that a name refers to. */
export function variableOf(node: Node, sourceCode: SourceCode): Variable | undefined {
  if (node.type !== 'Identifier') return undefined
  for (let scope: TSESLint.Scope.Scope | null = sourceCode.getScope(node); scope !== null; scope = scope.upper) {
    const found = scope.set.get(node.name)
    if (found !== undefined) return found
  }
  return undefined
}

/** The one expression that a variable ever has; undefined when it is written elsewhere, or destructured. */
export function initOf(variable: Variable | undefined): Node | undefined {
  const [definition, ...others] = variable?.defs ?? []
  if (variable === undefined || definition === undefined || others.length > 0) return undefined
  const { node } = definition
  if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier') return undefined
  const writes = variable.references.filter((each) => each.isWrite() && each.writeExpr != null)
  if (writes.length !== 1) return undefined
  return writes[0]?.writeExpr ?? undefined
}

/** A member of the class around `node` with that name: its value, or what is first assigned to `this.name`. */
export function fieldOf(node: Node, name: string, sourceCode: SourceCode): Node | undefined {
  let around: Node | undefined = node
  while (around !== undefined && around.type !== 'ClassBody') around = parentOf(around)
  if (around === undefined) return undefined
  for (const member of around.body) {
    if (member.type === 'PropertyDefinition' && nameOf(member.key) === name && member.value !== null)
      return member.value
  }
  return assignedTo(around, name, sourceCode)
}

function assignedTo(body: TSESTree.ClassBody, name: string, sourceCode: SourceCode): Node | undefined {
  const stack: Node[] = [body]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (
      node.type === 'AssignmentExpression' &&
      node.left.type === 'MemberExpression' &&
      node.left.object.type === 'ThisExpression' &&
      nameOf(node.left) === name
    )
      return node.right
    for (const key of sourceCode.visitorKeys[node.type] ?? []) {
      const value = (node as unknown as Record<string, Node | (Node | null)[] | null | undefined>)[key]
      for (const each of Array.isArray(value) ? value : [value]) if (each != null) stack.push(each)
    }
  }
  return undefined
}

/** What an expression stands for, followed through constants and fields of the class. */
export function resolve(node: Node, sourceCode: SourceCode, depth = 5): Node {
  const plain = bare(node)
  if (depth === 0) return plain
  if (plain.type === 'Identifier') {
    const init = initOf(variableOf(plain, sourceCode))
    return init === undefined ? plain : resolve(init, sourceCode, depth - 1)
  }
  if (plain.type === 'MemberExpression' && plain.object.type === 'ThisExpression') {
    const name = nameOf(plain)
    const field = name === undefined ? undefined : fieldOf(plain, name, sourceCode)
    return field === undefined ? plain : resolve(field, sourceCode, depth - 1)
  }
  return plain
}

/** The function that an expression stands for, when it stands in this file. */
export function functionOf(node: Node, sourceCode: SourceCode): FunctionNode | undefined {
  const plain = resolve(node, sourceCode)
  if (isFunction(plain)) return plain
  // The definition of a parameter is the function that takes it, which it is not.
  const definition = variableOf(plain, sourceCode)?.defs[0]
  return definition?.type === 'FunctionName' && isFunction(definition.node) ? definition.node : undefined
}

/** Whether two expressions name the same thing: one variable, or the same path from one variable or `this`. */
export function isSame(one: Node, other: Node, sourceCode: SourceCode): boolean {
  const [a, b] = [bare(one), bare(other)]
  if (a.type === 'ThisExpression') return b.type === 'ThisExpression'
  if (a.type === 'Identifier')
    return b.type === 'Identifier' && a.name === b.name && variableOf(a, sourceCode) === variableOf(b, sourceCode)
  if (a.type !== 'MemberExpression' || b.type !== 'MemberExpression') return false
  const name = nameOf(a)
  return name !== undefined && name === nameOf(b) && isSame(a.object, b.object, sourceCode)
}
