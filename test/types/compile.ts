import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { doors } from '../../scripts/doors.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** How a user's own project is set up: strict, and nothing beyond it. */
const USERS_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  allowImportingTsExtensions: true,
}

export interface CompileOptions {
  /** Where the types of `pg` are taken from. @defaultValue '@types/pg' */
  readonly pgTypes?: '@types/pg' | 'types-pg-low'
  /** Where `mysql2` is taken from. @defaultValue 'mysql2' */
  readonly mysqlTypes?: 'mysql2' | 'mysql2-low'
  /** `low`: the lowest `mongodb` and `mongoose` that are supported, in place of the latest. */
  readonly mongoTypes?: 'low'
  readonly compilerOptions?: ts.CompilerOptions
}

/**
 * Compiles programs as a user would: on the sources of this package, in a project with the given types of `pg`.
 *
 * @param programs - text by name; files of `test/types` by name alone, with `undefined`
 * @returns one line for each complaint
 */
export function complaintsOf(
  programs: Readonly<Record<string, string | undefined>>,
  { pgTypes = '@types/pg', mysqlTypes = 'mysql2', mongoTypes, compilerOptions = {} }: CompileOptions = {},
): string[] {
  const options: ts.CompilerOptions = {
    ...USERS_OPTIONS,
    paths: {
      ...Object.fromEntries(Object.entries(doors()).map(([door, source]) => [door, [source]])),
      ...(pgTypes === 'types-pg-low' ? { pg: [`${root}node_modules/types-pg-low/index.d.ts`] } : {}),
      ...(mysqlTypes === 'mysql2-low'
        ? {
            mysql2: [`${root}node_modules/mysql2-low/index.d.ts`],
            'mysql2/promise': [`${root}node_modules/mysql2-low/promise.d.ts`],
          }
        : {}),
      ...(mongoTypes === 'low'
        ? {
            mongodb: [`${root}node_modules/mongodb-low/mongodb.d.ts`],
            mongoose: [`${root}node_modules/mongoose-low/types/index.d.ts`],
          }
        : {}),
    },
    ...compilerOptions,
  }
  const host = ts.createCompilerHost(options)
  const virtual = new Map<string, string>()
  for (const [name, text] of Object.entries(programs)) if (text !== undefined) virtual.set(pathOf(name), text)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => virtual.has(path) || fileExists.call(host, path)
  host.readFile = (path) => virtual.get(path) ?? readFile.call(host, path)
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = virtual.get(path)
    return text === undefined
      ? getSourceFile.call(host, path, languageVersion, ...rest)
      : ts.createSourceFile(path, text, languageVersion)
  }
  const program = ts.createProgram(Object.keys(programs).map(pathOf), options, host)
  // The files of this package are checked by its own stricter project.
  return [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ownDiagnostics(program, programs),
  ].map(lineOf)
}

function ownDiagnostics(program: ts.Program, programs: object): ts.Diagnostic[] {
  return Object.keys(programs).flatMap((name) => {
    const file = program.getSourceFile(pathOf(name))
    return file === undefined ? [] : [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  })
}

const pathOf = (name: string): string => `${root}test/types/${name}`

function lineOf({ file, start, messageText }: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined || start === undefined) return text
  return `${file.fileName.slice(`${root}test/types/`.length)}:${file.getLineAndCharacterOfPosition(start).line + 1} ${text}`
}
