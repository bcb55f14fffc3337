import { MAKERS, type Maker } from '../data/drivers.ts'
import type { Node, SourceCode } from '../rule.ts'

/** The little of TypeScript's checker that is asked, so that the plugin needs no TypeScript to run. */
interface TypeServices {
  readonly program?: unknown
  getTypeAtLocation?(node: Node): CheckedType
}
interface CheckedType {
  getSymbol(): CheckedSymbol | undefined
  getBaseTypes?(): readonly CheckedType[] | undefined
  readonly aliasSymbol?: CheckedSymbol
  readonly types?: readonly CheckedType[]
}
interface CheckedSymbol {
  readonly name: string
  readonly declarations?: readonly { getSourceFile(): { readonly fileName: string } }[]
}

/** Which maker's product an expression is, by its type; undefined without type information. */
export function makerByType(node: Node, sourceCode: SourceCode): Maker | undefined {
  const type = typeOf(node, sourceCode)
  return type === undefined ? undefined : makerOfType(type, 3)
}

/** Whether type information is at hand and tells that the expression is some other thing than `any`. */
export function isTyped(node: Node, sourceCode: SourceCode): boolean {
  const symbol = typeOf(node, sourceCode)?.getSymbol()
  return symbol !== undefined && (symbol.declarations?.length ?? 0) > 0
}

function typeOf(node: Node, sourceCode: SourceCode): CheckedType | undefined {
  const services = sourceCode.parserServices as TypeServices | undefined
  // Without a project the parser offers the function too, and throws when it is called.
  if (services?.program == null || services.getTypeAtLocation === undefined) return undefined
  return services.getTypeAtLocation(node)
}

/** The type names by which each maker's product is known: those of its classes, and of what its functions return. */
const TYPE_NAMES: Readonly<Record<string, readonly string[]>> = {
  createPool: ['Pool', 'PoolPromise'],
  createPoolCluster: ['PoolCluster'],
  createConnection: ['Connection', 'ConnectionPromise'],
  createClientPool: ['RedisClientPool'],
  createClient: ['RedisClient', 'RedisClientType'],
  pgPool: ['PgPoolExtras', 'PgPool'],
  mysqlPool: ['MysqlPool', 'MysqlPromisePool'],
}

function makerOfType(type: CheckedType, depth: number): Maker | undefined {
  for (const each of type.types ?? []) {
    const found = depth === 0 ? undefined : makerOfType(each, depth - 1)
    if (found !== undefined) return found
  }
  for (const symbol of [type.aliasSymbol, type.getSymbol()]) {
    const file = symbol?.declarations?.[0]?.getSourceFile().fileName
    const found = symbol === undefined || file === undefined ? undefined : makerNamed(symbol.name, file)
    if (found !== undefined) return found
  }
  if (depth === 0) return undefined
  for (const base of type.getBaseTypes?.() ?? []) {
    const found = makerOfType(base, depth - 1)
    if (found !== undefined) return found
  }
  return undefined
}

const makerNamed = (name: string, file: string): Maker | undefined =>
  MAKERS.find(
    ({ modules, names }) =>
      modules.some((module) => isDeclaredBy(module, file)) &&
      names.some((each) => {
        const last = each.split('.').at(-1) ?? ''
        return (TYPE_NAMES[last] ?? [last === '' ? 'Pool' : last]).includes(name)
      }),
  )

/** Whether a declaration file belongs to a package or to its types in DefinitelyTyped. */
function isDeclaredBy(module: string, file: string): boolean {
  const [scope = '', name = ''] = module.split('/')
  const packages = module.startsWith('@')
    ? [`${scope}/${name}`, `@types/${scope.slice(1)}__${name}`]
    : [scope, `@types/${scope}`]
  return packages.some((each) => file.replaceAll('\\', '/').includes(`/node_modules/${each}/`))
}
