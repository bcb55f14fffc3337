import { readFileSync } from 'node:fs'
import Ajv from 'ajv-draft-04'
import addFormats from 'ajv-formats'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../src/doctor/finding.ts'
import { STORY_IDS } from '../src/doctor/stories.ts'
import { sarifReport } from '../src/reports/machine.ts'
import { GUIDE, millpond } from './run.ts'

const ajv = new Ajv.default({ allErrors: true, strict: false, unicodeRegExp: false })
addFormats.default(ajv)
const validate = ajv.compile(
  JSON.parse(readFileSync(new URL('./sarif/sarif-2.1.0-rtm.5.json', import.meta.url), 'utf8')) as object,
)

/** What the official schema has against a log. */
function complaints(text: string): string[] {
  validate(JSON.parse(text))
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`)
}

describe('the SARIF of the doctor', () => {
  it('is valid by the official schema, for the guide and for a project without findings', async () => {
    for (const argv of [[], ['src/mysql.js'], ['src/orders.js', '--include-tests']]) {
      const { out } = await millpond(['doctor', '--root', GUIDE, '--format', 'sarif', ...argv])
      expect(complaints(out)).toEqual([])
    }
  })

  it('is valid for each finding that there is, with a place and without', () => {
    const findings = STORY_IDS.flatMap((id): Finding[] => [
      { id, severity: 'error', message: `about ${id}` },
      { id, severity: 'warning', message: 'with a file', file: 'a b/ü.js' },
      { id, severity: 'info', message: 'with a place', mend: 'Mend it.', file: 'a.js', line: 1, column: 1, endLine: 2, endColumn: 1 },
    ]) // prettier-ignore
    const examination = { root: '/', findings, pools: [], files: 1, fixed: [], asked: [], unreachable: 0 }
    expect(complaints(sarifReport(examination, '1.2.3'))).toEqual([])
    expect(complaints(sarifReport({ ...examination, findings: [] }, '1.2.3'))).toEqual([])
  })

  it('would be found to be wrong', async () => {
    const { out } = await millpond(['doctor', '--root', GUIDE, '--format', 'sarif'])
    expect(complaints(out.replaceAll('"startLine": 6', '"startLine": 0'))).toContainEqual(expect.stringContaining('startLine')) // prettier-ignore
    expect(complaints(out.replace('"level": "error"', '"level": "fatal"'))).not.toEqual([])
  })
})
