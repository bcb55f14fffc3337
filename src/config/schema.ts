import { KINDS, type Kind } from './kinds.ts'
import { appliesTo, fileKeyOf, OPTION_NAMES, optionsOf, rowOf, type OptionName } from './option-table.ts'
import type { OptionRow } from './option-row.ts'
import { resolve } from './pool-config.ts'
import { PRESETS } from './profiles.ts'
import type { PoolSettings } from './types.ts'

/** A value, or why there is none: as the Standard Schema specification has it (https://standardschema.dev). */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path: readonly string[] }[] }

/** A schema that zod, valibot, tRPC, Fastify and their like take, by the Standard Schema specification, version 1. */
export interface PoolSettingsSchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: 'millpond'
    readonly validate: (value: unknown) => SchemaResult<PoolSettings>
    readonly types?: { readonly input: Readonly<Record<string, unknown>>; readonly output: PoolSettings }
    /** The same as JSON Schema, by the Standard JSON Schema specification. */
    readonly jsonSchema: {
      readonly input: (options: { readonly target: string }) => Record<string, unknown>
      readonly output: (options: { readonly target: string }) => Record<string, unknown>
    }
  }
}

/**
 * A schema of one pool as it stands in a file. What passes comes out as settings by the names of code, with durations in
 * milliseconds: as the `code` of {@link loadPools} takes them.
 *
 * @param kind - only pools of this kind, which then need not say it
 */
export function poolSettingsSchema(kind?: Kind): PoolSettingsSchema {
  return {
    '~standard': {
      version: 1,
      vendor: 'millpond',
      validate: (value) => validate(value, kind),
      jsonSchema: {
        input: ({ target }) => ({ ...dialect(target), ...poolSchema('input', kind) }),
        output: ({ target }) => ({ ...dialect(target), ...poolSchema('output', kind) }),
      },
    },
  }
}

function validate(entry: unknown, kind: Kind | undefined): SchemaResult<PoolSettings> {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    return { issues: [{ message: 'Expected an object of options', path: [] }] }
  const given = entry as Readonly<Record<string, unknown>>
  if (kind !== undefined && given['kind'] !== undefined && given['kind'] !== kind)
    return { issues: [{ message: `Expected \`kind\` to be '${kind}'`, path: ['kind'] }] }
  const settings = kind === undefined ? given : { ...given, kind }
  // The profile with the largest `max`: what does not fit there fits nowhere.
  const outcome = resolve({ name: '', env: {}, profile: 'production', file: { name: 'input', settings } })
  if ('issues' in outcome) {
    return { issues: outcome.issues.map(({ message, path }) => ({ message, path: path.filter((key) => key !== '') })) }
  }
  const value: Record<string, unknown> = { kind: outcome.config.kind }
  for (const option of OPTION_NAMES) {
    const { value: set, source } = outcome.config.setting(option)
    if (source.from === 'file' && source.inUrl !== true) value[option] = set
  }
  for (const key of ['preset', 'required', 'envPrefix', 'driver'] as const)
    if (given[key] !== undefined) value[key] = given[key]
  return { value: value }
}

const DIALECTS: Readonly<Record<string, string>> = {
  'draft-2020-12': 'https://json-schema.org/draft/2020-12/schema',
  'draft-07': 'http://json-schema.org/draft-07/schema#',
}

function dialect(target: string): { $schema: string } {
  const $schema = DIALECTS[target]
  if ($schema === undefined)
    throw new Error(`JSON Schema '${target}' is not offered: one of ${Object.keys(DIALECTS).join(', ')}`)
  return { $schema }
}

/** The JSON Schema of a configuration file, for editors: reference it as `$schema`. */
export function fileSchema(): Record<string, unknown> {
  return {
    ...dialect('draft-07'),
    title: 'Pools of a process, for loadPools of millpond/config',
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string' },
      pools: { type: 'object', additionalProperties: poolSchema('input', undefined) },
    },
  }
}

type Side = 'input' | 'output'

function poolSchema(side: Side, kind: Kind | undefined): Record<string, unknown> {
  const nameOf = side === 'input' ? fileKeyOf : (option: OptionName): string => option
  const options = kind === undefined ? OPTION_NAMES : optionsOf(kind)
  const properties: Record<string, unknown> = {
    kind: kind === undefined ? { enum: KINDS } : { const: kind },
    preset: { enum: Object.keys(PRESETS) },
    required: { type: 'boolean' },
    envPrefix: { type: 'string', minLength: 1 },
    driver: { type: 'object' },
  }
  for (const option of options) {
    const row = rowOf(option)
    properties[nameOf(option)] = { description: describe(row), ...valueSchema(row, side) }
  }
  const perKind = KINDS.map((each) => ({
    if: { properties: { kind: { const: each } }, required: ['kind'] },
    then: {
      properties: Object.fromEntries(
        OPTION_NAMES.filter((option) => !appliesTo(option, each)).map((option) => [nameOf(option), false]),
      ),
    },
  }))
  return { type: 'object', additionalProperties: false, properties, ...(kind === undefined ? { allOf: perKind } : {}) }
}

function describe({ docs, kinds }: OptionRow): string {
  return kinds === undefined ? docs : `${docs} (${kinds.join(', ')})`
}

const UNLIMITED = ['off', 'never', 'none', 'unlimited', 'infinity']
const DURATION = '^(\\d+(\\.\\d+)?\\s*(ms|min|m|sec|s|h|d)\\s*)+$'

function valueSchema({ rule, most, words = [] }: OptionRow, side: Side): Record<string, unknown> {
  const isText = side === 'input'
  const wordSchema = words.length === 0 ? [] : [{ enum: words }]
  switch (rule.type) {
    case 'integer': {
      const number = { type: 'integer', minimum: rule.min, ...(most === undefined ? {} : { maximum: most }) }
      if (!isText) return number
      const texts = [{ type: 'string', pattern: '^\\d+$' }, ...(rule.infinity ? [{ enum: UNLIMITED }] : [])]
      return { anyOf: [number, ...texts, ...wordSchema] }
    }
    case 'duration': {
      if (!isText) return { anyOf: [{ type: 'number', minimum: 0 }, ...wordSchema] }
      const zero = rule.zero ? [{ enum: [0, '0'] }] : []
      const never = rule.infinity ? [{ enum: UNLIMITED }] : []
      return { anyOf: [{ type: 'string', pattern: DURATION }, ...zero, ...never, ...wordSchema] }
    }
    case 'boolean':
      return isText ? { enum: [true, false, 'true', 'false', 'yes', 'no', 'on', 'off', '1', '0'] } : { type: 'boolean' }
    case 'one-of':
      return { enum: rule.values }
    default:
      return { type: isText ? ['string', 'number'] : 'string', minLength: 1 }
  }
}
