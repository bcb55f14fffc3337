const DETECTED = ['Killed', 'Timeout']
const UNDETECTED = ['Survived', 'NoCoverage']

/** Every mutant that no test noticed, as it is named in `test/mutation-survivors/`. */
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
  return { counts, detected, all, score: percent(detected, all) }
}

/** The table of all files, in Markdown: those of this run anew, the others as they were; `isExplained` tells of a survivor whether its reason is written down. */
export function table({ files }, isExplained, before) {
  const rows = new Map(rowsOf(before))
  for (const [path, file] of Object.entries(files)) {
    const { counts, detected, all } = scoreOf([file])
    const explained = survivorsOf({ files: { [path]: file } }).filter(isExplained).length
    if (all > 0)
      rows.set(path.replace('src/core/', ''), [all, detected, counts.Timeout, explained, all - detected - explained])
  }
  const total = [...rows.values()].reduce((sums, row) => sums.map((each, index) => each + row[index]), [0, 0, 0, 0, 0])
  const line = (name, row) => `| ${[name, ...row, percent(row[1], row[0])].join(' | ')} |`
  return [
    '| file | mutants | noticed | of these, by never ending | survivors with a reason | without | score |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...[...rows].sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, row]) => line(`\`${name}\``, row)),
    line('**all of these**', total),
    '',
  ].join('\n')
}

/** What {@link table} wrote: the five counts of each file. */
function rowsOf(text) {
  return [...text.matchAll(/^\| `(.+?)`((?: *\| *\d+){5})/gm)].map(([, name, counts]) => [
    name,
    counts.match(/\d+/g).map(Number),
  ])
}

const percent = (part, all) => (all === 0 ? '–' : `${((100 * part) / all).toFixed(1)} %`)
const sum = (counts, names) => names.reduce((total, name) => total + counts[name], 0)
const oneLine = (text) => text.replaceAll(/\s+/g, ' ').slice(0, 160)
