/** Sizes that belong together. */
export interface Sizes {
  readonly max: number
  readonly min: number
  readonly idleTimeoutMillis: number
}

/** Sizes by what the process is for. */
export const PROFILES = {
  production: { max: 20, min: 5, idleTimeoutMillis: 30_000 },
  development: { max: 10, min: 2, idleTimeoutMillis: 60_000 },
  test: { max: 5, min: 1, idleTimeoutMillis: 5_000 },
} as const satisfies Readonly<Record<string, Sizes>>

export type ProfileName = keyof typeof PROFILES

/** Sizes by what the pool connects to, and the range in which sizes of its sort are usual. */
export const PRESETS = {
  database: {
    max: 20,
    min: 2,
    idleTimeoutMillis: 600_000,
    usual: { max: [10, 100], min: [2, 5], idleTimeoutMillis: [600_000, 1_800_000] },
  },
  redis: {
    max: 10,
    min: 2,
    idleTimeoutMillis: 300_000,
    usual: { max: [10, 50], min: [2, 5], idleTimeoutMillis: [300_000, 300_000] },
  },
  http: {
    max: 50,
    min: 2,
    idleTimeoutMillis: 60_000,
    usual: { max: [10, 100], min: [2, 5], idleTimeoutMillis: [60_000, 60_000] },
  },
  grpc: {
    max: 10,
    min: 2,
    idleTimeoutMillis: 60_000,
    usual: { max: [10, 50], min: [2, 5], idleTimeoutMillis: [60_000, 60_000] },
  },
} as const satisfies Readonly<
  Record<string, Sizes & { readonly usual: Readonly<Record<keyof Sizes, readonly [number, number]>> }>
>

export type PresetName = keyof typeof PRESETS

export const SIZE_NAMES = ['max', 'min', 'idleTimeoutMillis'] as const satisfies readonly (keyof Sizes)[]

/** Which profile holds, and who says so. */
export interface ActiveProfile {
  readonly name: ProfileName
  readonly saidBy: 'code' | 'MILLPOND_PROFILE' | 'NODE_ENV' | 'nobody'
  /** A name that is no profile, in whose place development holds. */
  readonly unknown: string | undefined
}

/** The profile in force: the one asked for, else `MILLPOND_PROFILE`, else `NODE_ENV`, else development. */
export function activeProfile(env: Readonly<Record<string, string | undefined>>, asked?: string): ActiveProfile {
  const given = [
    ['code', asked],
    ['MILLPOND_PROFILE', env['MILLPOND_PROFILE']],
    ['NODE_ENV', env['NODE_ENV']],
  ] as const
  const [saidBy, name] = given.find(([, name]) => name !== undefined && name !== '') ?? ['nobody', 'development']
  if (Object.hasOwn(PROFILES, name as string)) return { name: name as ProfileName, saidBy, unknown: undefined }
  return { name: 'development', saidBy, unknown: name }
}
