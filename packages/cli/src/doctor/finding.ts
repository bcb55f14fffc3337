export type Severity = 'error' | 'warning' | 'info'

/** Something that `millpond doctor` found. */
export interface Finding {
  /** Stable; what `millpond explain` takes. */
  readonly id: string
  readonly severity: Severity
  /** Relative to the project, with forward slashes; none for what has no place, such as a server. */
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly endLine?: number
  readonly endColumn?: number
  /** What is wrong and why it matters, in whole sentences. */
  readonly message: string
  /** How to mend it, where the message does not say so. */
  readonly mend?: string
  /** Whether `--fix` mends it. */
  readonly fixable?: boolean
}

export const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info']

/** By file and place, what has none at the end. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const key = ({ file, line = 0, column = 0 }: Finding): [string, number, number] => [file ?? '\uffff', line, column]
  return findings.toSorted((a, b) => {
    const [one, other] = [key(a), key(b)]
    return one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : one[1] - other[1] || one[2] - other[2]
  })
}
