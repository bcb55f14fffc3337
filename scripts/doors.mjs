import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The source behind each door that package.json opens, by what users import: `millpond`, `millpond/pg`, … */
export function doors() {
  const { name, exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  return Object.fromEntries(
    Object.entries(exports)
      .filter(([, target]) => typeof target !== 'string')
      .map(([door, target]) => [
        `${name}${door.slice(1)}`,
        `${root}${target.import.replace('./dist/', 'src/').replace(/\.js$/, '.ts')}`,
      ]),
  )
}
