import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { faultOf, OPTION_FAULTS, type Fault } from '../../src/data/catalogue.ts'
import { isWithin } from '../../src/data/versions.ts'
import { TRIED_IN } from './tries.ts'

describe('the catalogue', () => {
  it('has no driver that no file tries', () => {
    expect([...new Set(OPTION_FAULTS.map(({ driver }) => driver))].sort()).toEqual(
      Object.values(TRIED_IN).flat().sort(),
    )
    const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.ts'))
    expect(files.filter((name) => name !== 'catalogue.test.ts').sort()).toEqual(Object.keys(TRIED_IN).sort())
  })

  it('knows the version that is installed, and takes the latest where it is not told', () => {
    const of = (option: string, version?: string): Fault | undefined =>
      faultOf('mongodb', [], option, undefined, version)?.fault
    expect(of('useNewUrlParser')).toBe('refused')
    expect(of('useNewUrlParser', '7.0.0')).toBe('refused')
    expect(of('useNewUrlParser', '6.12.0')).toBe('ignored')
    expect(of('useNewUrlParser', '3.7.4')).toBeUndefined()
    expect(of('poolSize', '3.7.4')).toBeUndefined()
    expect(of('poolSize', '4.0.0-beta.1')).toBe('refused')
  })

  it('has ranges that can be read', () => {
    expect([isWithin('6.12.3', '>=6.12.0 <7.0.0'), isWithin('7.0.0', '<7.0.0'), isWithin('10.0.0', '>=9.1.0')]).toEqual(
      [true, false, true],
    )
    expect(() => isWithin('1.0.0', '^1.0.0')).toThrow('got ^1.0.0')
  })

  it('recommends only options that it does not warn of', () => {
    for (const { driver, instead } of OPTION_FAULTS) {
      if (instead === undefined) continue
      expect(
        OPTION_FAULTS.find((each) => each.driver === driver && each.option === instead && each.value === undefined),
      ).toBeUndefined()
    }
  })
})
