/**
 * Whether a version lies within a range of the form `>=4.0.0 <7.0.0`; either end may be left out. Pre-releases count as
 * the version that they precede.
 */
export function isWithin(version: string, range: string): boolean {
  return range.split(' ').every((bound) => {
    const [, sign, limit = ''] = /^(>=|<)(\d+\.\d+\.\d+)$/.exec(bound) ?? []
    if (sign === undefined) throw new RangeError(`Expected bounds such as >=4.0.0 or <7.0.0, got ${bound}`)
    const order = compare(version, limit)
    return sign === '<' ? order < 0 : order >= 0
  })
}

function compare(one: string, other: string): number {
  const [left, right] = [one, other].map((text) => (/\d+(\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number))
  for (let index = 0; index < 3; index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
