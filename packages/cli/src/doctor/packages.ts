import { OPTION_FAULTS } from 'eslint-plugin-millpond/catalogue'
import type { Finding } from './finding.ts'
import { installedVersion, type Project } from './project.ts'

const major = (version: string | undefined): number => Number(/^\d+/.exec(version ?? '')?.[0] ?? Number.NaN)

/** What the packages of drivers are called, where not as the catalogue calls them. */
const PACKAGES: Readonly<Record<string, string>> = { grpc: '@grpc/grpc-js' }

/** The versions of the drivers that a project has installed, by the names of the catalogue. */
export function driverVersions(root: string): Record<string, string> {
  const versions: Record<string, string> = {}
  for (const driver of new Set(OPTION_FAULTS.map((each) => each.driver))) {
    const version = installedVersion(root, PACKAGES[driver] ?? driver)
    if (version !== undefined) versions[driver] = version
  }
  return versions
}

/** What the packages of a project tell: drivers that nobody keeps, copies that do not know each other. */
export function examinePackages(project: Project): Finding[] {
  const { manifest, root } = project
  if (manifest === undefined) return []
  const { dependencies } = manifest
  const lines = project.read('package.json').split('\n')
  const lineOf = (name: string): number => lines.findIndex((line) => line.includes(`"${name}"`)) + 1
  const findings: Finding[] = []
  const add = (name: string, finding: Omit<Finding, 'file' | 'line'>): void => {
    findings.push({ ...finding, file: 'package.json', line: lineOf(name) })
  }
  if ('mysql' in dependencies) {
    add('mysql', {
      id: 'driver-unmaintained',
      severity: 'warning',
      message:
        'The `mysql` driver has had no release since 2020: it does not speak the authentication of MySQL 8.4 and later.',
      mend: 'Use `mysql2`, whose functions have the same names.',
    })
  }
  const ownMongo = installedVersion(root, 'mongodb')
  const itsMongo = 'mongoose' in dependencies ? installedVersion(root, 'mongodb', 'mongoose') : undefined
  if ('mongodb' in dependencies && ownMongo !== undefined && itsMongo !== undefined && ownMongo !== itsMongo) {
    add('mongodb', {
      id: 'driver-twice',
      severity: 'warning',
      message: `The project has \`mongodb\` ${ownMongo}, and Mongoose brings ${itsMongo} of its own: two copies that refuse each other’s clients, and two pools for one server.`,
      mend: 'Take the client from Mongoose: `mongoose.connection.getClient()`, and the classes from `mongoose.mongo`.',
    })
  }
  const undici = 'undici' in dependencies ? installedVersion(root, 'undici') : undefined
  const builtIn = major(process.versions['undici'])
  if (major(undici) >= 8 && builtIn < 8) {
    add('undici', {
      id: 'undici-not-of-fetch',
      severity: 'info',
      message: `An agent of undici ${String(undici)} does not work as \`dispatcher\` of the built-in \`fetch\` of this Node, which has undici ${String(process.versions['undici'])}: the request fails.`,
      mend: 'Use `fetch` of the same undici, or `setGlobalDispatcher`.',
    })
  }
  return findings
}
