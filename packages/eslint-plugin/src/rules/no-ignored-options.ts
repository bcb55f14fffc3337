import type { TSESLint, TSESTree } from '@typescript-eslint/utils'
import { bare, nameOf, numberOf, propertyOf } from '../analysis/ast.ts'
import { creationOf, givenOptions } from '../analysis/makers.ts'
import { faultOf, OPTION_FAULTS, type OptionFault } from '../data/catalogue.ts'
import { DRIVER_NAMES } from '../data/drivers.ts'
import { defineRule, optionsOf, type Node } from '../rule.ts'

const DEFAULTS = { unbounded: false }

export const noIgnoredOptions = defineRule({
  name: 'no-ignored-options',
  description: 'Use only options that the driver knows: not those it ignores, refuses or takes for something else',
  set: 'recommended',
  fixable: 'code',
  suggests: true,
  options: {
    unbounded: { type: 'boolean', description: 'Report values that take a bound away too, such as `queueLimit: 0`.' },
  },
  defaults: DEFAULTS,
  messages: {
    ignored: '{{driver}} ignores `{{option}}`: {{why}}. {{mend}}',
    warned: '{{driver}} drops `{{option}}`: {{why}}. {{mend}}',
    refused: '{{driver}} refuses `{{option}}`: {{why}}. {{mend}}',
    misread: '{{driver}} does not take `{{option}}: {{value}}` as it looks: {{why}}. {{mend}}',
    unbounded: '`{{option}}: {{value}}` takes a bound away from {{driver}}: {{why}}. {{mend}}',
    remove: 'Remove `{{option}}`.',
    rename: 'Use `{{instead}}` in its place.',
  },
  create(context) {
    const { sourceCode } = context
    const versions = versionsIn(context.settings)
    const { unbounded } = optionsOf(context, DEFAULTS)
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      if (creation === undefined) return
      const { driver, names } = creation.maker
      const { object } = givenOptions(creation, sourceCode)
      if (object === undefined) return
      // What a spread brings may be the option that mends another.
      const beside = object.properties.flatMap((each) =>
        each.type === 'Property' ? (nameOf(each.key) ?? []) : MENDING,
      )
      for (const property of object.properties) {
        if (property.type !== 'Property' || property.computed) continue
        const option = nameOf(property.key)
        if (option === undefined) continue
        const fault = faultOf(driver, names, option, literalOf(property.value), versions[driver], beside)
        if (fault !== undefined && (unbounded || fault.fault !== 'unbounded')) report(property, object, fault)
      }
    }
    const report = (property: TSESTree.Property, object: TSESTree.ObjectExpression, fault: OptionFault): void => {
      const { option, why, instead } = fault
      const data = {
        driver: DRIVER_NAMES[fault.driver] ?? fault.driver,
        option,
        why,
        instead: instead ?? '',
        value: String(fault.value),
        mend: instead === undefined ? `${capital(fault.mend ?? 'remove it')}.` : `Use \`${instead}\`.`,
      }
      // A rename changes what the program does, from nothing to what was wanted: a suggestion. What throws today cannot get worse.
      const isFree = instead !== undefined && propertyOf(object, instead) === undefined
      const renamed = isFree ? renameFix(property, fault) : undefined
      context.report({
        node: property,
        messageId: fault.fault,
        data,
        ...(fault.fault === 'refused' && renamed !== undefined ? { fix: renamed } : {}),
        suggest: [
          ...(renamed !== undefined && fault.fault !== 'refused' ? [{ messageId: 'rename', data, fix: renamed }] : []),
          ...(renamed === undefined && fault.unless === undefined && !['misread', 'unbounded'].includes(fault.fault)
            ? [{ messageId: 'remove', data, fix: removeFix(property, sourceCode) }]
            : []),
        ],
      })
    }
    return { NewExpression: check, CallExpression: check }
  },
})

/** Options whose presence makes another one work. */
const MENDING = OPTION_FAULTS.flatMap(({ unless = [] }) => unless)

/** Which versions of drivers are installed, by the driver: `settings: { millpond: { versions: { mongodb: '6.12.0' } } }`. */
function versionsIn(settings: Readonly<Record<string, unknown>>): Readonly<Record<string, string | undefined>> {
  const { versions } = (settings['millpond'] ?? {}) as { readonly versions?: Readonly<Record<string, unknown>> }
  return Object.fromEntries(
    Object.entries(versions ?? {}).filter((each): each is [string, string] => typeof each[1] === 'string'),
  )
}

function renameFix(property: TSESTree.Property, { instead = '', convert }: OptionFault): TSESLint.ReportFixFunction {
  const key = /^[A-Za-z_$][\w$]*$/.test(instead) ? instead : `'${instead}'`
  return (fixer) => {
    if (property.shorthand) return fixer.replaceText(property, `${key}: ${nameOf(property.key) ?? ''}`)
    const renamed = fixer.replaceText(property.key, key)
    const value = numberOf(property.value)
    if (convert === undefined) return renamed
    return [renamed, value === undefined
      ? fixer.insertTextAfter(property.value, ' * 1_000')
      : fixer.replaceText(property.value, String(value * 1_000))] // prettier-ignore
  }
}

export function removeFix(property: TSESTree.Property, sourceCode: TSESLint.SourceCode): TSESLint.ReportFixFunction {
  return (fixer) => {
    const next = sourceCode.getTokenAfter(property)
    if (next?.value === ',') {
      const following = sourceCode.getTokenAfter(next, { includeComments: true })
      const isLast = following?.value === '}'
      return fixer.removeRange([property.range[0], isLast || following === null ? next.range[1] : following.range[0]])
    }
    const before = sourceCode.getTokenBefore(property)
    return fixer.removeRange([before?.value === ',' ? before.range[0] : property.range[0], property.range[1]])
  }
}

function literalOf(node: Node): string | number | boolean | null | undefined {
  const plain = bare(node)
  if (plain.type !== 'Literal') return numberOf(plain)
  const { value } = plain
  return typeof value === 'object' ? (plain.raw === 'null' ? null : undefined) : (value as string | number | boolean)
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
