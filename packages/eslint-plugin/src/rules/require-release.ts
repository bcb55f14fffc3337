import type { TSESLint, TSESTree } from '@typescript-eslint/utils'
import { findBelow, functionAround, isFunction } from '../analysis/ast.ts'
import { isKeptOnPurpose, outermost, type Borrowing } from '../analysis/borrowing.ts'
import { HELD, type Exit } from '../analysis/flow.ts'
import { eachBorrowing, endsLoan, followLoan, isEverEnded } from '../analysis/loan.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

export const requireRelease = defineRule({
  name: 'require-release',
  description: 'Give back what is borrowed from a pool on every path: return, throw, callback',
  set: 'recommended',
  types: true,
  suggests: true,
  messages: {
    never:
      '`{{name}}` is borrowed here and never given back: each call takes one connection out of the pool for good. Give it back in a `finally` block: {{release}}.',
    onReturn:
      '`{{name}}` is not given back where the function returns on line {{line}}. Give it back in a `finally` block: {{release}}.',
    onThrow: '`{{name}}` is not given back where line {{line}} throws. Give it back in a `finally` block: {{release}}.',
    whenThrown:
      '`{{name}}` is not given back if line {{line}} throws. Give it back in a `finally` block that begins right after the borrowing: {{release}}.',
    onEnd:
      '`{{name}}` is not given back on a path that reaches the end of the function. Give it back in a `finally` block: {{release}}.',
    lost: '`{{name}}` is borrowed again on line {{line}} before it was given back; the first one is lost.',
    wrap: 'Wrap what follows in try … finally.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      CallExpression: eachBorrowing(sourceCode, (borrowing) => {
        const found = leakOf(borrowing, sourceCode)
        if (found === undefined) return
        const node = borrowing.acquire.call
        const fix = wrapFix(borrowing, sourceCode)
        context.report({
          node,
          messageId: found.messageId,
          data: { name: borrowing.name, line: found.line, release: releaseText(borrowing) },
          suggest: fix === undefined || found.messageId !== 'whenThrown' ? [] : [{ messageId: 'wrap', fix }],
        })
      }),
    }
  },
})

/** Worst first: what always leaks, what leaks by a statement, what leaks by an error. */
function leakOf(borrowing: Borrowing, sourceCode: SourceCode): { messageId: string; line: number } | undefined {
  const line = (exit: Exit): number => exit.node.loc.start.line
  const isEnded = isEverEnded(borrowing, sourceCode)
  // A program keeps what it borrowed at its top level as long as it runs.
  if (!isEnded && (borrowing.owner.type === 'Program' || isKeptOnPurpose(borrowing, sourceCode))) return undefined
  const exits = followLoan(borrowing, sourceCode).exits.filter(({ states }) => (states & HELD) !== 0)
  const of = (kind: Exit['kind']): Exit | undefined => exits.find((exit) => exit.kind === kind)
  const first = of('end') ?? of('return') ?? of('throw') ?? of('lost') ?? of('implicit-throw')
  if (first === undefined) return undefined
  if (!isEnded) return first.kind === 'implicit-throw' ? undefined : { messageId: 'never', line: line(first) }
  const [returns, throws, lost, ends] = [of('return'), of('throw'), of('lost'), of('end')]
  if (returns !== undefined) return { messageId: 'onReturn', line: line(returns) }
  if (throws !== undefined) return { messageId: 'onThrow', line: line(throws) }
  if (lost !== undefined) return { messageId: 'lost', line: line(lost) }
  if (ends !== undefined) return { messageId: 'onEnd', line: line(ends) }
  // What a callback throws is uncaught: giving back would not save the process.
  return borrowing.fromStart && borrowing.acquire.callback !== undefined
    ? undefined
    : { messageId: 'whenThrown', line: line(first) }
}

function releaseText({ acquire, name, done }: Borrowing): string {
  if (done !== undefined) return `\`${done.name}()\``
  return acquire.maker?.driver === 'generic-pool' || acquire.maker?.driver === 'tarn'
    ? `\`pool.release(${name})\``
    : `\`${name}.release()\``
}

/** `const c = await borrow(); …; c.release()` in one block becomes a try statement. Only where no name of the block is used behind it. */
function wrapFix(borrowing: Borrowing, sourceCode: SourceCode): TSESLint.ReportFixFunction | undefined {
  const declarator = outermost(borrowing.acquire.call).parent
  if (declarator?.type !== 'VariableDeclarator' || declarator.parent.declarations.length !== 1) return undefined
  const declaration = declarator.parent
  const block = declaration.parent
  if (block.type !== 'BlockStatement') return undefined
  const from = block.body.indexOf(declaration) + 1
  const isRelease = (node: Node): boolean => endsLoan(node, borrowing, sourceCode)
  const ends = block.body.filter((each) => findBelow(each, sourceCode, isRelease) !== undefined)
  const [release] = ends
  if (ends.length !== 1 || release?.type !== 'ExpressionStatement' || !isRelease(unawaited(release.expression)))
    return undefined
  const between = block.body.slice(from, block.body.indexOf(release))
  const after = block.body.slice(block.body.indexOf(release) + 1)
  const [first, last] = [between[0], between.at(-1)]
  if (first === undefined || last === undefined || declaresFor(between, after, sourceCode)) return undefined
  const indent = ' '.repeat(declaration.loc.start.column)
  return (fixer) => {
    const text = sourceCode.getText()
    const body = text.slice(first.range[0], last.range[1]).replaceAll('\n', '\n  ')
    const ending = sourceCode.getText(release)
    return fixer.replaceTextRange(
      [first.range[0], release.range[1]],
      `try {\n${indent}  ${body}\n${indent}} finally {\n${indent}  ${ending}\n${indent}}`,
    )
  }
}

const unawaited = (node: TSESTree.Expression): TSESTree.Expression =>
  node.type === 'AwaitExpression' ? node.argument : node

/** Whether statements declare a name that later ones use. */
function declaresFor(statements: readonly Node[], after: readonly Node[], sourceCode: SourceCode): boolean {
  const end = after.at(-1)?.range[1]
  if (end === undefined) return false
  return statements.some((each) =>
    sourceCode.getDeclaredVariables(each).some(({ references }) =>
      references.some(({ identifier }) => {
        const start = identifier.range[0]
        return (
          start >= (after[0]?.range[0] ?? Infinity) && start < end && isFunction(functionAround(identifier) ?? each)
        )
      }),
    ),
  )
}
