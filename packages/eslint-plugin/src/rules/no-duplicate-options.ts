import { nameOf } from '../analysis/ast.ts'
import { creationOf } from '../analysis/makers.ts'
import { resolve } from '../analysis/variables.ts'
import { defineRule, type Node } from '../rule.ts'

export const noDuplicateOptions = defineRule({
  name: 'no-duplicate-options',
  description:
    'Give each option of a client once: of two, JavaScript keeps the last and drops the first without a word',
  set: 'recommended',
  messages: {
    duplicate:
      '`{{option}}` is given again on line {{line}}, so that this one is dropped, with all that stands in it. Merge the two.',
  },
  create(context) {
    const { sourceCode } = context
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      if (creation === undefined) return
      for (const argument of creation.node.arguments) {
        const object = resolve(argument, sourceCode)
        if (object.type !== 'ObjectExpression') continue
        const last = new Map<string, Node>()
        for (const property of object.properties.toReversed()) {
          const option = property.type === 'Property' && !property.computed ? nameOf(property.key) : undefined
          if (option === undefined) continue
          const later = last.get(option)
          if (later === undefined) last.set(option, property)
          else context.report({ node: property, messageId: 'duplicate', data: { option, line: later.loc.start.line } })
        }
      }
    }
    return { NewExpression: check, CallExpression: check }
  },
})
