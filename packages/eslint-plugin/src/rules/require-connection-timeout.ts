import { hasSpread, numberOf, propertyOf } from '../analysis/ast.ts'
import { creationOf, givenOptions } from '../analysis/makers.ts'
import { resolve } from '../analysis/variables.ts'
import { DRIVER_NAMES } from '../data/drivers.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

export const requireConnectionTimeout = defineRule({
  name: 'require-connection-timeout',
  description: 'Give a pool a deadline for those who wait, so that no caller waits for ever',
  set: 'recommended',
  suggests: true,
  messages: {
    missing:
      '{{driver}} waits for ever here: without `{{option}}`, a caller who finds the pool empty or the server silent hangs until the process ends. Set `{{option}}: {{suggest}}`.',
    off: '`{{option}}: {{value}}` means no deadline to {{driver}}: a caller may wait for ever.',
    add: 'Add `{{option}}: {{suggest}}`.',
    set: 'Set `{{option}}` to {{suggest}}.',
  },
  create(context) {
    const { sourceCode } = context
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      if (creation === undefined) return
      const { maker } = creation
      const driver = DRIVER_NAMES[maker.driver] ?? maker.driver
      const { object, absent } = givenOptions(creation, sourceCode)
      const { deadline } = maker
      if (object !== undefined) {
        for (const key of [...(deadline === undefined ? [] : [deadline.key]), ...(maker.zeroIsForever ?? [])]) {
          const value = valueOf(object, key, sourceCode)
          if (value?.number !== 0 && value?.number !== Infinity) continue
          const suggest = key === deadline?.key ? deadline.suggest : 10_000
          const data = { option: key, driver, value: value.number, suggest }
          const { node: at } = value
          context.report({
            node: at,
            messageId: 'off',
            data,
            suggest: [{ messageId: 'set', data, fix: (fixer) => fixer.replaceText(at, String(suggest)) }],
          })
        }
      }
      if (deadline?.missing !== true) return
      const data = { option: deadline.key, driver, suggest: deadline.suggest }
      if (object === undefined) {
        if (absent) context.report({ node, messageId: 'missing', data })
        return
      }
      if (hasSpread(object) || propertyOf(object, deadline.key) !== undefined) return
      const last = object.properties.at(-1)
      const text = `${deadline.key}: ${deadline.suggest}`
      context.report({
        node: object.parent === node ? object : node,
        messageId: 'missing',
        data,
        suggest: [
          {
            messageId: 'add',
            data,
            fix: (fixer) =>
              last === undefined ? fixer.replaceText(object, `{ ${text} }`) : fixer.insertTextAfter(last, `, ${text}`),
          },
        ],
      })
    }
    return { NewExpression: check, CallExpression: check }
  },
})

/** The number that an option is set to, and where it stands. */
export function valueOf(
  object: Parameters<typeof propertyOf>[0],
  key: string,
  sourceCode: SourceCode,
): { node: Node; number: number } | undefined {
  const property = propertyOf(object, key)
  if (property === undefined) return undefined
  const number = numberOf(resolve(property.value, sourceCode))
  return number === undefined ? undefined : { node: property.value, number }
}
