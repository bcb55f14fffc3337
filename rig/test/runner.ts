import { join } from 'node:path'
import { startPostgres } from '@millpond/rig'

// Started and killed by a test.
const server = await startPostgres()
console.log(JSON.stringify({ pid: server.pid, folder: join(server.dataFolder, '..') }))
setInterval(() => undefined, 1_000)
