// Somebody who looks at the dashboard, in a process of its own: reads the stream of whatever address it is told, one a
// line, until the next line. Its CPU is not the server's.
import { createInterface } from 'node:readline'

let looking = new AbortController()
for await (const url of createInterface({ input: process.stdin })) {
  looking.abort()
  looking = new AbortController()
  if (url === '') continue
  fetch(new URL('events', url), { signal: looking.signal })
    .then(async ({ body }) => {
      console.log('looking')
      for await (const chunk of body) void chunk
    })
    .catch(() => undefined)
}
