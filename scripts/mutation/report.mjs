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

/** The table of all files, in Markdown; `isExplained` tells of a survivor whether its reason is written down. */
export function table({ files }, isExplained) {
  const row = (name, part) => {
    const { counts, detected, all, score } = scoreOf(Object.values(part))
    const explained = survivorsOf({ files: part }).filter(isExplained).length
    return `| ${[name, all, detected, counts.Timeout, explained, all - detected - explained, score].join(' | ')} |`
  }
  return [
    '| file | mutants | noticed | of these, by never ending | survivors with a reason | without | score |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...Object.entries(files)
      .filter(([, file]) => scoreOf([file]).all > 0)
      .map(([path, file]) => row(`\`${path.replace('src/core/', '')}\``, { [path]: file })),
    row('**all of these**', files),
    '',
  ].join('\n')
}

const sum = (counts, names) => names.reduce((total, name) => total + counts[name], 0)
const oneLine = (text) => text.replaceAll(/\s+/g, ' ').slice(0, 160)
