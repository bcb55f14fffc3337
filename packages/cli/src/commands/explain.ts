import type { CommandModule } from '../command.ts'
import { linkOf, STORY_IDS, storyOf } from '../doctor/stories.ts'
import { EXIT, UsageError, type Io } from '../io.ts'
import { nearest } from '../nearest.ts'
import { painter, withCode, wrap } from '../terminal.ts'

export const explain: CommandModule = {
  add(program, io, done) {
    program
      .command('explain')
      .description('tell the whole story of a finding: why it matters, and how to mend it')
      .argument('[id]', 'the finding; without it, all that there are')
      .option('--json', 'for programs')
      .action((id: string | undefined, { json }: { json?: true }) => {
        io.out(id === undefined ? listOf(io, json === true) : tell(id, io, json === true))
        done(EXIT.ok)
      })
  },
}

function listOf(io: Io, json: boolean): string {
  const stories = STORY_IDS.flatMap((id) => storyOf(id) ?? [])
  if (json)
    return `${JSON.stringify(
      stories.map(({ id, title }) => ({ id, title, link: linkOf(id) })),
      null,
      2,
    )}\n`
  const paint = painter(io)
  const width = Math.max(...STORY_IDS.map(({ length }) => length))
  return stories.map(({ id, title }) => {
    const [first = '', ...rest] = wrap(title, io.width - width - 4)
    return [`  ${paint(id.padEnd(width), 'cyan')}  ${first}`, ...rest.map((line) => `${' '.repeat(width + 4)}${line}`)].join('\n')
  }).join('\n') + '\n' // prettier-ignore
}

function tell(id: string, io: Io, json: boolean): string {
  const story = storyOf(id.replace(/^millpond\//, ''))
  if (story === undefined) {
    const near = nearest(id, STORY_IDS)
    throw new UsageError(
      `there is no finding "${id}"; ${near === undefined ? '' : `did you mean "${near}"? `}millpond explain lists them`,
    )
  }
  if (json) return `${JSON.stringify({ ...story, link: linkOf(story.id) }, null, 2)}\n`
  const paint = painter(io)
  const title = wrap(story.title, io.width - 4).map((line) => `  ${paint(line, 'bold')}`)
  const lines = ['', `  ${paint(story.id, 'cyan', 'bold')}`, ...title, '']
  let inCode = false
  let paragraph: string[] = []
  const flush = (): void => {
    const isItem = paragraph[0]?.startsWith('- ') === true
    for (const [index, each] of wrap(
      paragraph
        .join(' ')
        .replace(/\*\*?([^*]+)\*\*?/g, '$1')
        .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1'),
      io.width - 4,
    ).entries())
      lines.push(`  ${isItem && index > 0 ? '  ' : ''}${withCode(each, paint, io.color)}`)
    paragraph = []
  }
  for (const line of story.text.split('\n')) {
    if (line.startsWith('```')) {
      flush()
      inCode = !inCode
    } else if (inCode) lines.push(line === '' ? '' : `    ${paint(line, 'dim')}`)
    else if (line.startsWith('#')) {
      flush()
      const heading = line.replace(/^#+ /, '')
      lines.push(
        `  ${paint(heading, 'bold', ...(heading === 'Wrong' ? ['red' as const] : heading === 'Right' ? ['green' as const] : []))}`,
      )
    } else if (line === '') {
      flush()
      if (lines.at(-1) !== '') lines.push('')
    } else {
      if (line.startsWith('- ')) flush()
      paragraph.push(line)
    }
  }
  flush()
  return `${lines.join('\n').trimEnd()}\n\n  ${paint(linkOf(story.id), 'dim')}\n\n`
}
