import type { TSESLint, TSESTree } from '@typescript-eslint/utils'

/** A node of the tree, JavaScript or TypeScript. */
export type Node = TSESTree.Node
export type Context = TSESLint.RuleContext<string, readonly unknown[]>
export type SourceCode = TSESLint.SourceCode
export type Listener = TSESLint.RuleListener

/** Which ready-made set a rule is in. What is in `recommended` is in `strict` too. */
export type RuleSet = 'recommended' | 'strict'

export interface RuleDocs {
  /** One sentence, as it stands in the table of rules. */
  readonly description: string
  readonly url: string
  readonly set: RuleSet
  /** Whether type information finds more cases; every rule works without. */
  readonly types: boolean
}

/** A rule, in the shape that ESLint 9 and 10 take. */
export interface Rule {
  readonly meta: {
    readonly type: 'problem' | 'suggestion'
    readonly docs: RuleDocs
    readonly messages: Readonly<Record<string, string>>
    readonly schema: readonly object[]
    readonly defaultOptions?: readonly unknown[]
    readonly fixable?: 'code'
    readonly hasSuggestions?: boolean
  }
  create(context: Context): Listener
}

interface RuleSpec {
  readonly name: string
  readonly description: string
  readonly set: RuleSet
  readonly types?: boolean
  readonly type?: 'problem' | 'suggestion'
  readonly messages: Readonly<Record<string, string>>
  /** Properties of the rule's one options object, as JSON Schema. */
  readonly options?: Readonly<Record<string, object>>
  readonly defaults?: Readonly<Record<string, unknown>>
  readonly fixable?: 'code'
  readonly suggests?: boolean
  create(context: Context): Listener
}

/** The page of a rule. They are published with the package, so the address is the package's own. */
export const pageOf = (rule: string): string => `https://unpkg.com/eslint-plugin-millpond/docs/rules/${rule}.md`

/** A rule from what is particular to it. */
export function defineRule(spec: RuleSpec): Rule {
  return {
    meta: {
      type: spec.type ?? 'problem',
      docs: { description: spec.description, url: pageOf(spec.name), set: spec.set, types: spec.types ?? false },
      messages: spec.messages,
      schema:
        spec.options === undefined ? [] : [{ type: 'object', properties: spec.options, additionalProperties: false }],
      ...(spec.defaults === undefined ? {} : { defaultOptions: [spec.defaults] }),
      ...(spec.fixable === undefined ? {} : { fixable: spec.fixable }),
      ...(spec.suggests === true ? { hasSuggestions: true } : {}),
    },
    create: (context) => spec.create(context),
  }
}

/** The options that a configuration gives to a rule, over the rule's own. */
export function optionsOf<T extends object>(context: Context, defaults: T): T {
  return { ...defaults, ...(context.options[0] as Partial<T> | undefined) }
}
