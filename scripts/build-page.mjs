// Bundles the dashboard's page with its chart library into src/dashboard/page-assets.ts, which is committed so that the
// sources run as they are. `--check` says whether it is what the page's sources say today.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const ASSETS = `${root}src/dashboard/page-assets.ts`
const PAGE = `${root}packages/dashboard-page`

/** What is bundled, with the notice that its licence asks for. */
const LIBRARIES = ['preact', 'uplot']

const HTML = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="referrer" content="no-referrer" />
    <title>Millpond</title>
    <link rel="icon" href="icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="style.css" />
    <script type="module" src="app.js"></script>
  </head>
  <body>
    <div id="root"><noscript>The dashboard needs JavaScript; the same numbers are in the metrics.</noscript></div>
  </body>
</html>
`

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2f74d0"/><path d="M2 6q2-2 4 0t4 0t4 0M2 10q2-2 4 0t4 0t4 0" fill="none" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>
`

function licences() {
  return LIBRARIES.map((name) => {
    const folder = `${root}node_modules/${name}`
    const { version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
    return `${name} ${version}\n\n${readFileSync(`${folder}/LICENSE`, 'utf8').trim()}`
  }).join('\n\n')
}

/** The text of src/dashboard/page-assets.ts. */
export async function pageAssets() {
  const bundle = async (entry, options) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [`${PAGE}/src/${entry}`],
      bundle: true,
      minify: true,
      write: false,
      target: ['es2022', 'chrome110', 'firefox110', 'safari16'],
      legalComments: 'none',
      ...options,
    })
    return outputFiles[0].text
  }
  const script = await bundle('main.tsx', {
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    banner: { js: `/*\n${licences()}\n*/` },
  })
  const style = await bundle('style.css', {})
  const constant = (name, text) => `export const ${name} = ${JSON.stringify(text)}\n`
  return [
    '// Made by scripts/build-page.mjs from packages/dashboard-page; not to be edited.\n',
    constant('PAGE_HTML', HTML),
    constant('PAGE_SCRIPT', script),
    constant('PAGE_STYLE', style),
    constant('PAGE_ICON', ICON),
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await pageAssets()
  if (!process.argv.includes('--check')) writeFileSync(ASSETS, text)
  else if (readFileSync(ASSETS, 'utf8') !== text) {
    console.error('src/dashboard/page-assets.ts is not what packages/dashboard-page says; run npm run build:page')
    process.exit(1)
  }
}
