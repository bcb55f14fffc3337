import type { TSESTree } from '@typescript-eslint/utils'
import { MAKERS, type Maker } from '../data/drivers.ts'
import type { Node, SourceCode } from '../rule.ts'
import { bare, methodOf, nameOf, propertyOf, receiverOf } from './ast.ts'
import { exportOf, type ModuleExport } from './modules.ts'
import { makerByType } from './types.ts'
import { resolve, variableOf } from './variables.ts'

/** A place where a pool, a client or a connection is made. */
export interface Creation {
  readonly maker: Maker
  readonly node: TSESTree.NewExpression | TSESTree.CallExpression
}

/** What an expression creates, if a driver is known for it. */
export function creationOf(node: Node, sourceCode: SourceCode): Creation | undefined {
  if (node.type !== 'NewExpression' && node.type !== 'CallExpression') return undefined
  if (node.type === 'NewExpression' && takesCredentials(node, sourceCode)) return { maker: GRPC, node }
  const from = exportOf(node.callee, sourceCode)
  if (from === undefined) return undefined
  const maker = makerOf(from, node.type === 'NewExpression')
  return maker === undefined ? undefined : { maker, node }
}

/** The pool or client that an expression holds: made in this file, or known by its type. */
export function makerOfValue(node: Node, sourceCode: SourceCode): Maker | undefined {
  return creationOf(unchained(resolve(node, sourceCode)), sourceCode)?.maker ?? makerByType(node, sourceCode)
}

/** `createClient()` of `await createClient().on('error', report).connect()`, which is the same client. */
function unchained(node: Node): Node {
  const made = receiverOf(node)
  return made?.type === 'CallExpression' && /^(on|once|connect)$/.test(methodOf(node) ?? '') ? unchained(made) : node
}

function makerOf({ module, path }: ModuleExport, isNew: boolean): Maker | undefined {
  const name = path.join('.')
  return MAKERS.find(
    ({ modules, names, how }) =>
      modules.includes(module) && names.includes(name) && (how === 'either' || (how === 'new') === isNew),
  )
}

const GRPC = MAKERS.find(({ driver }) => driver === 'grpc') as Maker

/** `new AnyClient(address, credentials.createInsecure(), …)`: generated clients have any name, but always take these. */
function takesCredentials(node: TSESTree.NewExpression, sourceCode: SourceCode): boolean {
  const [, second] = node.arguments
  if (second === undefined || second.type === 'SpreadElement') return false
  const credentials = resolve(second, sourceCode)
  if (!/^create(Insecure|Ssl|FromSecureContext|FromGoogleCredential)$/.test(methodOf(credentials) ?? '')) return false
  return credentials.type === 'CallExpression' && exportOf(credentials.callee, sourceCode)?.module === '@grpc/grpc-js'
}

export interface GivenOptions {
  /** The object literal, when the options can be read. */
  readonly object: TSESTree.ObjectExpression | undefined
  /** Whether nothing is given at all; with `object` undefined and this false, the options are somewhere else. */
  readonly absent: boolean
}

/** The options that a creation is given. */
export function givenOptions({ maker, node }: Creation, sourceCode: SourceCode): GivenOptions {
  const given = maker.options.map((index) => node.arguments[index]).filter((each) => each !== undefined)
  for (const each of given) {
    const object = resolve(each, sourceCode)
    if (object.type !== 'ObjectExpression') continue
    if (maker.within === undefined) return { object, absent: false }
    const inner = propertyOf(object, maker.within)?.value
    const pool = inner === undefined ? undefined : resolve(inner, sourceCode)
    return { object: pool?.type === 'ObjectExpression' ? pool : undefined, absent: inner === undefined }
  }
  const isUrl = (each: Node): boolean =>
    ['Literal', 'TemplateLiteral'].includes(resolve(each, sourceCode).type) || isEnvironment(each, sourceCode)
  return {
    object: undefined,
    absent: given.every(isUrl) && !node.arguments.some(({ type }) => type === 'SpreadElement'),
  }
}

/** `process.env.DATABASE_URL`: a string, whatever it says. */
function isEnvironment(node: Node, sourceCode: SourceCode): boolean {
  const plain = resolve(node, sourceCode)
  if (plain.type !== 'MemberExpression') return false
  return plain.object.type === 'MemberExpression' && nameOf(plain.object) === 'env'
}

/** Where a created thing is kept: the variable, the field of `this`, or nowhere. */
export function keptIn(creation: Node): Node | undefined {
  let node = creation
  let parent = node.parent
  while (parent !== undefined && bare(parent) === bare(creation)) [node, parent] = [parent, parent.parent]
  if (parent?.type === 'VariableDeclarator' && parent.init === node) return parent.id
  if (parent?.type === 'AssignmentExpression' && parent.right === node) return parent.left
  if (parent?.type === 'PropertyDefinition' && parent.value === node) return parent.key
  return undefined
}

/** Whether the value is read from a relative module, a parameter or a field: from where this file cannot see it made. */
export function isForeign(node: Node, sourceCode: SourceCode): boolean {
  const plain = resolve(node, sourceCode)
  if (plain.type === 'MemberExpression') return true
  const definition = variableOf(plain, sourceCode)?.defs[0]
  if (definition === undefined) return plain.type === 'Identifier'
  if (definition.type === 'Parameter') return true
  const module = exportOf(plain, sourceCode)?.module
  return module === undefined ? definition.type !== 'ClassName' && definition.type !== 'FunctionName' : isLocal(module)
}

/** A module of the project itself: relative, or by one of the usual aliases. */
const isLocal = (module: string): boolean => /^(\.|\/|[@~#]\/|#|src\/)/.test(module)
