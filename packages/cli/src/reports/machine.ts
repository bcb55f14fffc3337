import { linkOf, storyOf } from '../doctor/stories.ts'
import type { Examination } from '../doctor/examine.ts'
import type { Finding, Severity } from '../doctor/finding.ts'

/** For programs. The shape is part of the interface: members are added, never renamed. */
export function jsonReport({ findings, files, pools, fixed, asked, unreachable }: Examination): string {
  const count = (severity: Severity): number => findings.filter((each) => each.severity === severity).length
  return `${JSON.stringify(
    {
      findings: findings.map((each) => ({ ...each, link: linkOf(each.id) })),
      pools,
      fixed,
      asked,
      summary: { files, errors: count('error'), warnings: count('warning'), notes: count('info'), unreachable },
    },
    null,
    2,
  )}\n`
}

const LEVELS: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
}

/** SARIF 2.1.0, which code scanning of GitHub, GitLab and Azure reads. */
export function sarifReport({ findings }: Examination, version: string): string {
  const ids = [...new Set(findings.map(({ id }) => id))].sort()
  const results = findings.map((finding) => ({
    ruleId: finding.id,
    ruleIndex: ids.indexOf(finding.id),
    level: LEVELS[finding.severity],
    message: { text: textOf(finding) },
    ...(finding.file === undefined ? {} : { locations: [{ physicalLocation: locationOf(finding, finding.file) }] }),
  }))
  const rules = ids.map((id) => ({
    id,
    shortDescription: { text: storyOf(id)?.title ?? id },
    helpUri: linkOf(id),
  }))
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'millpond doctor', version, rules } }, columnKind: 'utf16CodeUnits', results }],
  }
  return `${JSON.stringify(log, null, 2)}\n`
}

const textOf = ({ message, mend }: Finding): string => (mend === undefined ? message : `${message} ${mend}`)

function locationOf({ line, column, endLine, endColumn }: Finding, file: string): object {
  const region = { startLine: line, startColumn: column, endLine, endColumn }
  return { artifactLocation: { uri: encodeURI(file) }, ...(line === undefined ? {} : { region }) }
}

const COMMANDS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', info: 'notice' }

/** Workflow commands, which GitHub shows beside the lines of a change. */
export function githubReport({ findings }: Examination): string {
  const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
  const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
  return findings
    .map((finding) => {
      const { file, line, column, endLine, endColumn } = finding
      const properties = Object.entries({
        file,
        line,
        col: column,
        endLine,
        endColumn,
        title: `millpond ${finding.id}`,
      })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${property(String(value))}`)
      return `::${COMMANDS[finding.severity]} ${properties.join(',')}::${data(textOf(finding))}\n`
    })
    .join('')
}
