import type { Node, SourceCode } from '../rule.ts'
import { bare, nameOf } from './ast.ts'
import { variableOf } from './variables.ts'

/** A name that a module exports; `default` and the module itself are one, as drivers export both ways. */
export interface ModuleExport {
  readonly module: string
  /** `Pool` of `pg.Pool`; empty for the module itself. */
  readonly path: readonly string[]
}

/** The module export that an expression names, followed through imports, `require` and destructuring. */
export function exportOf(node: Node, sourceCode: SourceCode, depth = 6): ModuleExport | undefined {
  const plain = bare(node)
  if (depth === 0) return undefined
  const module = requiredModule(plain)
  if (module !== undefined) return { module, path: [] }
  if (plain.type === 'MemberExpression') {
    const [name, owner] = [nameOf(plain), exportOf(plain.object, sourceCode, depth - 1)]
    return owner === undefined || name === undefined ? undefined : under(owner, name)
  }
  if (plain.type !== 'Identifier') return undefined
  const definition = variableOf(plain, sourceCode)?.defs[0]
  if (definition === undefined) return undefined
  const at = definition.node
  if (definition.type === 'ImportBinding') return importedExport(at, definition.parent)
  if (at.type !== 'VariableDeclarator' || at.init === null) return undefined
  const from = exportOf(at.init, sourceCode, depth - 1)
  if (from === undefined || at.id.type === 'Identifier') return from
  return at.id.type === 'ObjectPattern' ? destructured(from, at.id, plain.name) : undefined
}

function destructured(from: ModuleExport, pattern: Node, name: string): ModuleExport | undefined {
  if (pattern.type !== 'ObjectPattern') return undefined
  for (const each of pattern.properties) {
    if (each.type !== 'Property') continue
    const key = nameOf(each.key)
    if (key !== undefined && nameOf(each.value) === name) return under(from, key)
    const deeper = key === undefined ? undefined : destructured(under(from, key), each.value, name)
    if (deeper !== undefined) return deeper
  }
  return undefined
}

const under = (owner: ModuleExport, name: string): ModuleExport =>
  name === 'default' ? owner : { module: owner.module, path: [...owner.path, name] }

function importedExport(specifier: Node, declaration: Node | undefined): ModuleExport | undefined {
  if (specifier.type === 'TSImportEqualsDeclaration') {
    const { moduleReference } = specifier
    return moduleReference.type === 'TSExternalModuleReference'
      ? { module: withoutNode(moduleReference.expression.value), path: [] }
      : undefined
  }
  if (declaration?.type !== 'ImportDeclaration') return undefined
  const owner = { module: withoutNode(declaration.source.value), path: [] }
  if (specifier.type !== 'ImportSpecifier') return owner
  const name = nameOf(specifier.imported)
  return name === undefined ? undefined : under(owner, name)
}

/** `pg` of `require('pg')`, `import('pg')` and `createRequire(…)('pg')`. */
function requiredModule(node: Node): string | undefined {
  if (node.type === 'ImportExpression') {
    return node.source.type === 'Literal' ? withoutNode(String(node.source.value)) : undefined
  }
  if (node.type !== 'CallExpression' || node.callee.type !== 'Identifier' || node.callee.name !== 'require')
    return undefined
  const [argument] = node.arguments
  return argument?.type === 'Literal' && typeof argument.value === 'string' ? withoutNode(argument.value) : undefined
}

const withoutNode = (module: string): string => module.replace(/^node:/, '')
