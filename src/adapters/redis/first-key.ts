/** Commands of the exclusive lane that have no key: any node will do. */
const KEYLESS = /^(client|debug|role)/

const first = (value: unknown): unknown => (Array.isArray(value) ? (value as unknown[])[0] : value)

/**
 * The first key of a command of the exclusive lane, from its words as the protocol has them (as ioredis' methods do too).
 *
 * @param name - as of `commandName`
 */
export function firstKeyOfWords(name: string, words: readonly unknown[]): unknown {
  if (KEYLESS.test(name)) return undefined
  const flat = words.flat()
  if (name === 'blmpop' || name === 'bzmpop') return flat[2]
  if (name === 'xread' || name === 'xreadgroup')
    return flat[flat.findIndex((word) => String(word).toUpperCase() === 'STREAMS') + 1]
  return flat[0]
}

/** The same from the arguments of a method of node-redis. */
export function firstKeyOfMethod(name: string, args: readonly unknown[]): unknown {
  if (KEYLESS.test(name)) return undefined
  if (name === 'blmpop' || name === 'bzmpop') return first(args[1])
  if (name !== 'xread' && name !== 'xreadgroup') return first(args[0])
  const stream = first(args[name === 'xread' ? 0 : 2])
  return typeof stream === 'object' && stream !== null && 'key' in stream ? stream.key : stream
}
