const DETECTED = ['Killed', 'Timeout']
const UNDETECTED = ['Survived', 'NoCoverage']

/** Every mutant that no test noticed, as it is named in `test/mutation-survivors.json`. */
export function survivorsOf({ files }) {
  return Object.entries(files).flatMap(([path, { source, mutants }]) => {
    const lines = source.split('\n')
    return mutants
      .filter(({ status }) => UNDETECTED.includes(status))
      .map(({ location: { start, end }, replacement, status }) => {
        const original = lines.slice(start.line - 1, end.line)
        original[original.length - 1] = original.at(-1).slice(0, end.column - 1)
        original[0] = original[0].slice(start.column - 1)
        return {
          file: path.replace('src/core/', ''),
          line: start.line,
          code: lines[start.line - 1].trim(),
          change: `${oneLine(original.join('\n'))} → ${oneLine(replacement)}`,
          isReached: status === 'Survived',
        }
      })
      .sort((one, other) => one.line - other.line)
  })
}

/** How many were noticed, of those that can be: what is made when a file is loaded does not count. */
export function scoreOf(files) {
  const counts = { Killed: 0, Timeout: 0, Survived: 0, NoCoverage: 0, Ignored: 0 }
  for (const { mutants } of files) for (const { status } of mutants) counts[status] = (counts[status] ?? 0) + 1
  const detected = sum(counts, DETECTED)
  const all = detected + sum(counts, UNDETECTED)
  return { counts, detected, all, score: all === 0 ? '–' : `${((100 * detected) / all).toFixed(1)} %` }
}

/** The table of all files, in Markdown. */
export function table(report, reasons) {
  const explained = new Map()
  for (const { survivors } of reasons)
    for (const { file } of survivors) explained.set(file, (explained.get(file) ?? 0) + 1)
  const row = (name, { counts, detected, all, score }) =>
    `| ${[name, all, detected, counts.Timeout, all - detected, score].join(' | ')} |`
  return [
    '| file | mutants | noticed | of them by never ending | survivors | score |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...Object.entries(report.files)
      .filter(([, file]) => scoreOf([file]).all > 0)
      .map(([path, file]) => row(`\`${path.replace('src/core/', '')}\``, scoreOf([file]))),
    row('**all**', scoreOf(Object.values(report.files))),
    '',
  ].join('\n')
}

const sum = (counts, names) => names.reduce((total, name) => total + counts[name], 0)
const oneLine = (text) => text.replaceAll(/\s+/g, ' ').slice(0, 160)
