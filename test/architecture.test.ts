import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { POOL_EVENT_NAMES } from '../src/core/events.ts'
import { POOL_OPTION_NAMES } from '../src/core/options.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const files = (readdirSync(join(root, 'src'), { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `src/${name.replaceAll('\\', '/')}`)

const sources = new Map(
  files.map((file) => [
    file,
    ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.ES2022, true),
  ]),
)

/** What a file imports from within the library, types included. */
function importsOf(file: string): string[] {
  const found: string[] = []
  sources.get(file)?.forEachChild((node) => {
    if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return
    const specifier = node.moduleSpecifier
    if (specifier === undefined || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return
    found.push(relative(root, resolve(root, dirname(file), specifier.text)).replaceAll('\\', '/'))
  })
  return found
}

function externalsOf(file: string): string[] {
  const found: string[] = []
  sources.get(file)?.forEachChild((node) => {
    if (!ts.isImportDeclaration(node) || !ts.isStringLiteral(node.moduleSpecifier)) return
    const { text } = node.moduleSpecifier
    if (!text.startsWith('.')) found.push(text)
  })
  return found
}

const layerOf = (file: string): string => {
  const [, layer = '', name = ''] = file.split('/')
  return layer === 'adapters' ? `adapters/${name}` : layer
}

/** Which layers a layer may import besides itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  registry: ['core'],
  testing: ['core'],
  // A MongoClient is observed by its own adapter, which does nothing else.
  observe: ['core', 'adapters/mongodb'],
  sizing: ['core'],
  config: ['core', 'registry'],
  health: ['core', 'registry'],
  monitoring: ['core', 'registry'],
  dashboard: ['core', 'registry', 'health', 'monitoring', 'config', 'sizing'],
  'adapters/grpc': ['core'],
  'adapters/http': ['core', 'registry'],
  'adapters/mongodb': ['core'],
  'adapters/mysql': ['core'],
  'adapters/pg': ['core'],
  'adapters/redis': ['core'],
  'index.ts': ['core', 'registry'],
}

describe('the architecture', () => {
  it('has arrows that point one way', () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter(
          (imported) =>
            layerOf(imported) !== layerOf(file) && !(ARROWS[layerOf(file)] ?? []).includes(layerOf(imported)),
        )
        .map((imported) => `${file} → ${imported}`),
    )
    expect(wrong).toEqual([])
  })

  it('has no cycle, not even of types', () => {
    const done = new Set<string>()
    const visit = (file: string, path: readonly string[]): string | undefined => {
      if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].join(' → ')
      if (done.has(file)) return undefined
      for (const imported of importsOf(file)) {
        const cycle = visit(imported, [...path, file])
        if (cycle !== undefined) return cycle
      }
      done.add(file)
      return undefined
    }
    expect(files.map((file) => visit(file, [])).filter((cycle) => cycle !== undefined)).toEqual([])
  })

  it('imports no index from inside, no driver, and nothing but Node itself', () => {
    expect(files.flatMap((file) => importsOf(file).filter((imported) => imported.endsWith('/index.ts')))).toEqual([])
    expect(files.flatMap(externalsOf).filter((name) => !name.startsWith('node:'))).toEqual([])
  })

  it('publishes what it builds, and builds what it publishes', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { import: string; require: string }>
    }
    const doors = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.import]))
    const indexes = files
      .filter((file) => file.endsWith('/index.ts'))
      .map((file) => `./${file.replace(/^src/, 'dist').replace(/\.ts$/, '.js')}`)
    expect(doors.sort()).toEqual(indexes.sort())
    const required = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.require]))
    expect(required.sort()).toEqual(indexes.map((file) => file.replace('./dist/', './dist/cjs/')).sort())
    if (existsSync(join(root, 'dist')))
      for (const door of [...doors, ...required]) expect(existsSync(join(root, door)), door).toBe(true)
  })

  it('keeps every file to a size that is read in one sitting', () => {
    const long = files.filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 451)
    expect(long).toEqual([])
  })

  it('shows a reader of the engine what each of its files is for', () => {
    const readme = readFileSync(join(root, 'src/core/README.md'), 'utf8')
    const engine = files.filter((file) => file.startsWith('src/core/')).map((file) => file.replace('src/core/', ''))
    expect(engine.filter((file) => !readme.includes(`\`${file}\``))).toEqual([])
  })

  it('takes the time from the clock alone, in the engine', () => {
    const elsewhere = files
      .filter((file) => file.startsWith('src/core/') && file !== 'src/core/clock.ts')
      .filter((file) =>
        /\b(Date\.now|performance\.now|setTimeout|setInterval|setImmediate)\(/.test(
          readFileSync(join(root, file), 'utf8'),
        ),
      )
    expect(elsewhere).toEqual([])
  })
})

describe('the packages beside the library', () => {
  const names = ['cli', 'eslint-plugin']
  const sourcesOf = (name: string): { file: string; imports: { from: string; typeOnly: boolean }[]; lines: number }[] =>
    (readdirSync(join(root, 'packages', name, 'src'), { recursive: true }) as string[])
      .filter((file) => file.endsWith('.ts'))
      .map((each) => {
        const file = join('packages', name, 'src', each)
        const text = readFileSync(join(root, file), 'utf8')
        const imports: { from: string; typeOnly: boolean }[] = []
        ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true).forEachChild((node) => {
          if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return
          if (node.moduleSpecifier === undefined || !ts.isStringLiteral(node.moduleSpecifier)) return
          const typeOnly = ts.isImportDeclaration(node)
            ? node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
            : node.isTypeOnly
          imports.push({ from: node.moduleSpecifier.text, typeOnly })
        })
        return { file, imports, lines: text.split('\n').length }
      })

  it.each(names)('%s stays in its folder, and imports only what it declares', (name) => {
    const { dependencies = {}, peerDependencies = {} } = JSON.parse(
      readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'),
    ) as { dependencies?: object; peerDependencies?: object }
    const declared = Object.keys({ ...dependencies, ...peerDependencies })
    const folder = join('packages', name, 'src')
    const wrong = sourcesOf(name).flatMap(({ file, imports }) =>
      imports
        .filter(({ from, typeOnly }) => {
          if (from.startsWith('.')) return !join(dirname(file), from).startsWith(folder)
          // The library is reached by its doors alone: `millpond/pg`, never a file of it.
          const [first = '', second = '', ...rest] = from.split('/')
          if (first === 'millpond' && rest.length > 0) return true
          const needed = from.startsWith('@') ? `${first}/${second}` : first
          return !from.startsWith('node:') && !declared.includes(needed) && !typeOnly
        })
        .map(({ from }) => `${file} → ${from}`),
    )
    expect(wrong).toEqual([])
  })

  it.each(names)('%s keeps its files to a size that is read in one sitting', (name) => {
    expect(
      sourcesOf(name)
        .filter(({ lines }) => lines > 451)
        .map(({ file }) => file),
    ).toEqual([])
  })
})

describe('the reference', () => {
  const page = (name: string): string => readFileSync(join(root, `docs/reference/${name}.md`), 'utf8')

  it('has every error code, and no other', () => {
    const code = readFileSync(join(root, 'src/core/errors.ts'), 'utf8')
    const inCode = new Set(code.match(/ERR_POOL_[A-Z_]+/g))
    const inPage = new Set(page('errors').match(/ERR_POOL_[A-Z_]+/g))
    expect([...inPage].sort()).toEqual([...inCode].sort())
  })

  it('has every option, event and metric, and is what the source says today', async () => {
    const { optionsPage, eventsPage, registryPage, configPage, metricsPage } = (await import(
      join(root, 'scripts/reference.mjs')
    )) as {
      optionsPage(): string
      eventsPage(): string
      registryPage(): string
      configPage(): string
      metricsPage(): Promise<string>
    }
    expect(page('config')).toBe(configPage())
    expect(page('options')).toBe(optionsPage())
    expect(page('events')).toBe(eventsPage())
    expect(page('registry')).toBe(registryPage())
    expect(page('metrics')).toBe(await metricsPage())
    for (const option of POOL_OPTION_NAMES) expect(page('options')).toContain(`### \`${option}\``)
    for (const event of POOL_EVENT_NAMES) expect(page('events')).toContain(`| \`${event}\` |`)
  })
})

describe('the page of the dashboard', () => {
  it('is what its sources say today', { timeout: 60_000 }, async () => {
    const { pageAssets } = (await import(join(root, 'scripts/build-page.mjs'))) as { pageAssets(): Promise<string> }
    expect(readFileSync(join(root, 'src/dashboard/page-assets.ts'), 'utf8')).toBe(await pageAssets())
  })
})
