/** A word as paths are made of: `users`, `order-items`, `getUser`, `v2`. What has a digit or an odd sign may be a value. */
const WORD = /^(?:v\d{1,2}|[A-Za-z][a-z]*(?:[A-Z][a-z]+)*(?:[-_.][A-Za-z][a-z]*){0,4})$/
const LONGEST_WORD = 30
const MOST_SEGMENTS = 10

/**
 * A path without what may be a value: `/users/42/orders?token=x` becomes `/users/?/orders`. Words stay; numbers, ids,
 * addresses, and everything behind a question mark do not.
 */
export function routeOf(path: string): string {
  const [whole = '/'] = path.split(/[?#]/, 1)
  const segments = whole.split('/')
  const shown = segments
    .slice(0, MOST_SEGMENTS)
    .map((segment) => (segment === '' || (segment.length <= LONGEST_WORD && WORD.test(segment)) ? segment : '?'))
  return shown.join('/') + (segments.length > MOST_SEGMENTS ? '/…' : '')
}
