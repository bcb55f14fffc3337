import type { Rule as ESLintRule } from 'eslint'
import type { Context, Node } from '../rule.ts'
import { bare, hasSpread, nameOf, numberOf } from './ast.ts'
import { creationOf, givenOptions } from './makers.ts'
import { resolve } from './variables.ts'

/** A place where a program makes a pool, a client or a connection. */
export interface PoolSite {
  readonly driver: string
  /** The exported name that makes it, such as `Pool` or `pgPool`; empty for the module itself. */
  readonly maker?: string
  readonly role: 'pool' | 'client' | 'connection'
  readonly line: number
  /** From 1. */
  readonly column: number
  /** The size, where it is a number that can be read. */
  readonly max?: number
  /** What the driver takes where nothing is given; undefined where that cannot be told, or something else is given. */
  readonly defaultMax?: number
  /** Options whose values are literals. */
  readonly options: Readonly<Record<string, string | number | boolean>>
}

/** The listeners of a rule that tells of every pool in a file: for tools that want to count them. */
export function poolsOf(context: ESLintRule.RuleContext, visit: (site: PoolSite) => void): ESLintRule.RuleListener {
  const { sourceCode } = context as unknown as Context
  const see = (node: Node): void => {
    const creation = creationOf(node, sourceCode)
    if (creation === undefined) return
    const { maker } = creation
    const { object, absent } = givenOptions(creation, sourceCode)
    const options: Record<string, string | number | boolean> = {}
    const given = new Set<string>()
    for (const property of object?.properties ?? []) {
      const name = property.type === 'Property' && !property.computed ? nameOf(property.key) : undefined
      if (property.type !== 'Property' || name === undefined) continue
      given.add(name)
      const value = literalOf(resolve(property.value, sourceCode))
      if (value !== undefined) options[name] = value
    }
    const key = maker.max?.key ?? ''
    const max = options[key]
    const isDefault = absent || (object !== undefined && !given.has(key) && !hasSpread(object))
    visit({
      driver: maker.driver,
      maker: maker.names[0] ?? '',
      role: maker.role,
      line: node.loc.start.line,
      column: node.loc.start.column + 1,
      ...(typeof max === 'number' ? { max } : {}),
      ...(isDefault && maker.max !== undefined && Number.isFinite(maker.max.default)
        ? { defaultMax: maker.max.default }
        : {}),
      options,
    })
  }
  return { NewExpression: see, CallExpression: see } as unknown as ESLintRule.RuleListener
}

function literalOf(node: Node): string | number | boolean | undefined {
  const number = numberOf(node)
  if (number !== undefined) return number
  const plain = bare(node)
  if (plain.type !== 'Literal') return undefined
  return typeof plain.value === 'string' || typeof plain.value === 'boolean' ? plain.value : undefined
}
