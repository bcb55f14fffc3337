import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** The user that servers run as when the runner is root; every system has it. */
export const NOBODY = { uid: 65534, gid: 65534 } as const

export const isRoot = process.getuid?.() === 0

const TEMP_PREFIX = 'millpond-rig-'

/** Temporary folders and servers of this runner, for a last clean-up when it exits, and by what each server ends. */
const folders = new Set<string>()
const children = new Map<ChildProcess, NodeJS.Signals>()
let cleansUp = false

/** Programs that count as not installed: `MILLPOND_RIG_WITHOUT=redis-server,mariadbd` shows what a machine without them does. */
export function isHidden(name: string): boolean {
  return (process.env['MILLPOND_RIG_WITHOUT'] ?? '').split(',').includes(name)
}

/** Where a program is: on the PATH, or in one of these folders. */
export function findProgram(name: string, others: readonly string[] = []): string | undefined {
  if (isHidden(name)) return undefined
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...others]) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not in this one
    }
  }
  return undefined
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A temporary folder that is gone when this runner is, or swept by the next one when this one is killed. */
export function tempFolder(purpose: string): string {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^millpond-rig-(\d+)-/.exec(name)?.[1]
    if (owner !== undefined && !alive(Number(owner))) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
  const folder = mkdtempSync(join(tmpdir(), `${TEMP_PREFIX}${process.pid}-${purpose}-`))
  folders.add(folder)
  cleanUpAtExit()
  return folder
}

export function removeFolder(folder: string): void {
  folders.delete(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

function cleanUpAtExit(): void {
  if (cleansUp) return
  cleansUp = true
  // 'exit' also follows the signals' default handling of those who handle them; who is killed is swept up after.
  process.once('exit', () => {
    for (const [child, signal] of children) child.kill(signal)
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
}

/** Signals `pid` when the pipe of its standard input closes, which it does however this runner ends. */
const WATCHDOG = `
  process.stdin.resume()
  process.stdin.on('end', () => {
    try { process.kill(Number(process.argv[1]), 'SIG' + process.argv[2]) } catch {}
    process.exit()
  })`

/**
 * Starts a server program that does not outlive this runner, even when the runner is killed: by the kernel's
 * parent-death signal where `setpriv` is (Linux), by a watchdog process elsewhere. `endsOn` is the signal that ends it;
 * one that `leads` has processes of its own, which would go on if it were killed.
 */
export function spawnServer(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; asNobody?: boolean; endsOn?: 'INT' | 'TERM'; leads?: boolean },
): ChildProcess {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined
  const user = options.asNobody ? NOBODY : undefined
  const { endsOn = 'INT', leads = false } = options
  const spawnOptions = {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
  }
  let child: ChildProcess
  if (setpriv === undefined) {
    child = spawn(program, args, { ...spawnOptions, ...user })
    const watchdog = spawn(process.execPath, ['-e', WATCHDOG, String(child.pid), endsOn], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    watchdog.unref()
    ;(watchdog.stdin as { unref?: () => void }).unref?.()
    child.once('exit', () => watchdog.kill())
  } else {
    // setpriv changes the user itself: a change after it would clear the parent-death signal.
    const identity = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
    child = spawn(setpriv, [...identity, `--pdeathsig=${endsOn}`, '--', program, ...args], spawnOptions)
  }
  children.set(child, leads ? `SIG${endsOn}` : 'SIGKILL')
  child.once('exit', () => children.delete(child))
  cleanUpAtExit()
  return child
}

/** Whether it has ended; a killed child has a signal code and no exit code. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Signals the child and waits for its end; kills it when that takes too long. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, graceMillis = 5_000): Promise<void> {
  if (hasEnded(child)) return
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMillis)
  await ended
  clearTimeout(timer)
}

/** The processes that `pid` has started and that still run. */
export function childPids(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child ?? 0)
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // it has ended meanwhile
    }
  }
}

/** How long a stop may take; on a machine with much to do a thread stops only when it gets its turn. */
const STOP_MILLIS = 2_000

/** Stops the processes where they stand, and returns when none of their threads runs any more (where the system tells). */
export function pauseAll(pids: readonly number[]): void {
  signalAll(pids, 'SIGSTOP')
  const turn = new Int32Array(new SharedArrayBuffer(4))
  const until = performance.now() + STOP_MILLIS
  while (!pids.every(standsStill) && performance.now() < until) Atomics.wait(turn, 0, 0, 1)
}

function standsStill(pid: number): boolean {
  const tasks = `/proc/${pid}/task`
  try {
    // The state comes behind the name, which may have brackets of its own: T is stopped, Z and X have ended.
    return readdirSync(tasks).every((task) => /\) [TtZX] [^)]*$/.test(readFileSync(`${tasks}/${task}/stat`, 'utf8')))
  } catch {
    // A system without such files, or a process that has ended.
    return true
  }
}
