import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// For runners that start worker threads, which take no `--expose-gc`.
setFlagsFromString('--expose-gc')
globalThis.gc ??= runInNewContext('gc') as NodeJS.GCFunction
