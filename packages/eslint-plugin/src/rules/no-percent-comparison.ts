import type { TSESTree } from '@typescript-eslint/utils'
import { nameOf, numberOf, propertyOf } from '../analysis/ast.ts'
import { functionOf, resolve } from '../analysis/variables.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

export const noPercentComparison = defineRule({
  name: 'no-percent-comparison',
  description: 'Compare numbers with numbers: a text that ends in "%" is never greater or less than one',
  set: 'recommended',
  messages: {
    never:
      'The left of `{{operator}}` is a text such as "83.20%", which becomes NaN beside a number: this is never true, and the alarm never rings. Compare the number, and add the "%" where it is shown.',
  },
  create(context) {
    const { sourceCode } = context
    return {
      BinaryExpression(node) {
        if (!/^[<>]=?$/.test(node.operator)) return
        const [text, number] = numberOf(node.right) === undefined ? [node.right, node.left] : [node.left, node.right]
        if (numberOf(number) === undefined || !isPercent(text, sourceCode)) return
        context.report({ node, messageId: 'never', data: { operator: node.operator } })
      },
    }
  },
})

/** Whether an expression is a text that ends in "%", followed through constants, members and functions of this file. */
function isPercent(node: Node, sourceCode: SourceCode, depth = 4): boolean {
  const plain = resolve(node, sourceCode)
  if (depth === 0) return false
  switch (plain.type) {
    case 'Literal':
      return typeof plain.value === 'string' && /\d.*%$/.test(plain.value)
    case 'TemplateLiteral':
      return plain.expressions.length > 0 && (plain.quasis.at(-1)?.value.raw ?? '').trim() === '%'
    case 'BinaryExpression':
      return plain.operator === '+' && plain.right.type === 'Literal' && String(plain.right.value).trim() === '%'
    case 'MemberExpression': {
      const name = nameOf(plain)
      const object = name === undefined ? undefined : objectOf(plain.object, sourceCode)
      const property = object === undefined || name === undefined ? undefined : propertyOf(object, name)
      return property !== undefined && isPercent(property.value, sourceCode, depth - 1)
    }
    default:
      return false
  }
}

/** The object literal that an expression is, or that the function called there returns. */
function objectOf(node: Node, sourceCode: SourceCode): TSESTree.ObjectExpression | undefined {
  const plain = resolve(node, sourceCode)
  if (plain.type === 'ObjectExpression') return plain
  if (plain.type !== 'CallExpression') return undefined
  const fn = functionOf(plain.callee, sourceCode)
  if (fn === undefined) return undefined
  if (fn.body.type === 'ObjectExpression') return fn.body
  if (fn.body.type !== 'BlockStatement') return undefined
  const returned = fn.body.body.findLast((each) => each.type === 'ReturnStatement')?.argument
  return returned == null ? undefined : objectOf(returned, sourceCode)
}
