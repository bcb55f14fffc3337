// The thread of `watchdog.mjs`. It counts CPU time, so that a machine that is busy otherwise breaks nothing off.
import { Session } from 'node:inspector'
import { workerData as counts } from 'node:worker_threads'

const LIMIT_CPU_MILLIS = 1_500

let seen = -1
let since = 0
setInterval(() => {
  const { user, system } = process.cpuUsage()
  const millis = (user + system) / 1_000
  const beats = Atomics.load(counts, 0)
  if (beats !== seen) {
    seen = beats
    since = millis
  } else if (millis - since > LIMIT_CPU_MILLIS) {
    since = millis
    Atomics.add(counts, 1, 1)
    // Connected only now: a process waits at its end for who still is.
    const session = new Session()
    session.connectToMainThread()
    session.post('Runtime.terminateExecution', () => session.disconnect())
  }
}, 100)
