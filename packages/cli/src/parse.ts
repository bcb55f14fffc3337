import { InvalidArgumentError } from 'commander'

/** @throws {InvalidArgumentError} on anything but a whole number from 1 */
export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number from 1, such as 4.')
  return value
}

/** @throws {InvalidArgumentError} on anything but a number from 0 */
export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number from 0, such as 0.5 or 40.')
  return value
}

/** @throws {InvalidArgumentError} on a duration without a unit */
export function millis(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  if (match === null) throw new InvalidArgumentError('expected a number with a unit: 500ms, 30s, 5m or 1h.')
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
  return Number(match[1]) * units[match[2] as keyof typeof units]
}

/** @throws {InvalidArgumentError} on anything but pairs such as `2:410,4:790` */
export function points(text: string): { connections: number; throughput: number }[] {
  return text.split(',').map((pair) => {
    const [connections, throughput] = pair.split(':')
    if (connections === undefined || throughput === undefined)
      throw new InvalidArgumentError('expected connections and what they get done, such as 2:410,4:790,8:1200.')
    return { connections: positive(connections), throughput: number(throughput) }
  })
}
