import { startRedis } from '@millpond/rig'

// Started and killed by a test.
const server = await startRedis()
console.log(JSON.stringify({ pid: server.pid, folder: server.folder }))
setInterval(() => undefined, 1_000)
