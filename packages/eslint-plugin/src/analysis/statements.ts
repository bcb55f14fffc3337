import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { methodOf, propertyOf, receiverOf, textOf } from './ast.ts'
import { looksLikePool } from './borrowing.ts'
import { makerOfValue } from './makers.ts'
import { resolve } from './variables.ts'

/** The SQL text that a call sends, as far as it is literal: `query('…')`, `query({ text: '…' })`, `execute({ sql: '…' })`. */
export function sqlOf(call: TSESTree.CallExpression, sourceCode: SourceCode): string | undefined {
  if (!/^(query|execute|raw|unsafe)$/.test(methodOf(call) ?? '')) return undefined
  const [first] = call.arguments
  if (first === undefined) return undefined
  const given = resolve(first, sourceCode)
  if (given.type !== 'ObjectExpression') return textOf(given)
  return textOf((propertyOf(given, 'text') ?? propertyOf(given, 'sql'))?.value)
}

export const isBegin = (sql: string): boolean => /^\s*(BEGIN\b(?![\s\S]*\bCOMMIT\b)|START\s+TRANSACTION\b)/i.test(sql)
export const isCommitOrRollback = (sql: string): boolean => /^\s*(COMMIT|ROLLBACK(?!\s+TO\b)|END|ABORT)\b/i.test(sql)
/** What only makes sense on the connection on which it was said. */
export const isOfSession = (sql: string): boolean =>
  /^\s*(SET\s+(?!GLOBAL\b|PERSIST)|LISTEN\b|UNLISTEN\b|LOCK\s+TABLES?\b|SAVEPOINT\b|USE\s+\w+\s*;?$|CREATE\s+TEMP(ORARY)?\s)/i.test(
    sql,
  ) || /^\s*SELECT\s+(pg_(try_)?advisory_lock|GET_LOCK)\s*\(/i.test(sql)

/** Whether an expression is a pool, by how it was made, by its type, or by its name. */
export function isPool(node: Node, sourceCode: SourceCode): boolean {
  const maker = makerOfValue(node, sourceCode)
  return maker === undefined ? looksLikePool(node, sourceCode) : maker.role === 'pool'
}

/** Whether a call ends a transaction on what it is called on. */
export function endsTransaction(call: TSESTree.CallExpression, sourceCode: SourceCode): boolean {
  const sql = sqlOf(call, sourceCode)
  return sql === undefined ? /^(commit|rollback)(Transaction)?$/.test(methodOf(call) ?? '') : isCommitOrRollback(sql)
}

export function beginsTransaction(call: TSESTree.CallExpression, sourceCode: SourceCode): boolean {
  const sql = sqlOf(call, sourceCode)
  return sql === undefined ? methodOf(call) === 'beginTransaction' : isBegin(sql)
}

/** A call of one of a pool's own methods that takes a connection of it. */
export const takesConnection = (call: TSESTree.CallExpression): boolean =>
  receiverOf(call) !== undefined &&
  /^(query|execute|connect|getConnection|acquire|use|transaction)$/.test(methodOf(call) ?? '')
