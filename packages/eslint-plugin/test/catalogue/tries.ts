// How the entries of the catalogue are tried on the drivers themselves: what a test says of an entry counts only once it has passed.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createRequire } from 'node:module'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OPTION_FAULTS, type Fault, type OptionFault } from '../../src/data/catalogue.ts'
import { isWithin } from '../../src/data/versions.ts'

/** Which file tries which drivers; another test sees to it that none is left out. */
export const TRIED_IN: Readonly<Record<string, readonly string[]>> = {
  'databases.test.ts': ['pg', 'mysql2', 'mongodb', 'mongoose'],
  'redis.test.ts': ['ioredis', 'redis'],
  'network.test.ts': ['undici', 'http-agent', 'grpc'],
  'built-on.test.ts': ['sequelize', 'knex', 'tarn', 'typeorm', 'prisma', 'generic-pool'],
}

const require = createRequire(import.meta.url)
export const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version

const nameOf = ({ driver, option, versions = 'all', value, fault, unless }: OptionFault): string =>
  `${driver} ${option}${value === undefined ? '' : `: ${String(value)}`}${unless === undefined ? '' : ` without ${unless}`} ${fault} ${versions}`

/** How often an entry was to be tried, and how often that went as the catalogue says. */
const planned = new Map<string, number>()
const passed = new Map<string, number>()
const count = (counts: Map<string, number>, entry: OptionFault): void =>
  void counts.set(nameOf(entry), (counts.get(nameOf(entry)) ?? 0) + 1)

export interface Wanted {
  readonly driver: string
  readonly fault?: Fault
  /** Only these options. @defaultValue all */
  readonly options?: readonly string[]
  /** Only what is true of this version. @defaultValue all */
  readonly version?: string
}

const isWanted = ({ driver, fault, options, version }: Wanted, entry: OptionFault): boolean =>
  entry.driver === driver &&
  (fault === undefined || entry.fault === fault) &&
  (options?.includes(entry.option) ?? true) &&
  (version === undefined || entry.versions === undefined || isWithin(version, entry.versions))

/** A test for each of these entries; `%s` in the title is the option. */
export function itTries(title: string, wanted: Wanted, body: (option: string, entry: OptionFault) => unknown): void {
  const entries = OPTION_FAULTS.filter((entry) => isWanted(wanted, entry))
  for (const option of wanted.options ?? [])
    if (!entries.some((entry) => entry.option === option)) throw new Error(`the catalogue has no ${option}`)
  for (const entry of entries) {
    count(planned, entry)
    it(title.replace('%s', nameOf(entry)), async () => {
      await body(entry.option, entry)
      count(passed, entry)
    })
  }
}

/** The options that a version is not at fault with, though others are. */
export const innocent = (driver: string, fault: Fault, version: string): string[] =>
  OPTION_FAULTS.filter((each) => each.driver === driver && each.fault === fault && each.versions !== undefined)
    .filter(({ versions = '' }) => !isWithin(version, versions))
    .map(({ option }) => option)

/** The last test of a file: each entry of its drivers was tried, and each trial went as the catalogue says. */
export function itLeavesNothingUntried(file: string): void {
  it('leaves no entry untried', () => {
    const own = OPTION_FAULTS.filter(({ driver }) => TRIED_IN[file]?.includes(driver))
    expect(own.length).toBeGreaterThan(0)
    const untried = own.map(nameOf).filter((name) => {
      const wanted = planned.get(name) ?? 0
      return wanted === 0 || passed.get(name) !== wanted
    })
    expect(untried).toEqual([])
  })
}

export const delay = (millis: number): Promise<'nothing yet'> =>
  new Promise((resolve) => setTimeout(() => { resolve('nothing yet') }, millis)) // prettier-ignore

/** A server that takes connections and says nothing, for a file of tests. */
export function silentServer(): { readonly port: () => number; readonly sockets: Set<Socket>; hangUp(): void } {
  let silent: Server
  const sockets = new Set<Socket>()
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  beforeAll(async () => {
    silent = createServer((socket) => {
      sockets.add(socket)
      socket
        .resume()
        .on('error', () => undefined)
        .on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => {
    hangUp()
    silent.close()
  })
  return { port: () => (silent.address() as AddressInfo).port, sockets, hangUp }
}
