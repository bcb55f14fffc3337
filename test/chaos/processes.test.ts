import { fork, type ChildProcess } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { ChaosRig, figures, pick, stopwatch } from '../support/chaos.ts'
import { program } from '../support/program.ts'
import { seeded } from '../support/simulation.ts'

const PROCESSES = 8
const MAX = 4
const OVERFLOW = 2
/** Of one process. */
const MOST = MAX + OVERFLOW
const LONGEST_QUERY_MILLIS = 60

interface Told {
  readonly open: number
  readonly creating: number
  readonly zombies: number
  readonly most: number
  readonly ok: number
  readonly failed: number
  readonly problems: readonly string[]
}

/** One of several processes, under a name by which the server knows its connections. */
class Member {
  readonly name: string
  readonly process: ChildProcess
  told: Told | undefined
  readonly problems: string[] = []

  constructor(program: string, name: string, url: string) {
    this.name = name
    this.process = fork(program, [], {
      env: {
        ...process.env,
        DATABASE_URL: url,
        APPLICATION_NAME: name,
        POOL_MAX: String(MAX),
        POOL_OVERFLOW: String(OVERFLOW),
      },
    })
    this.process.on('message', (message) => {
      this.told = message as Told
      this.problems.push(...this.told.problems)
    })
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await waitFor(() => this.ended, { what: `${this.name} is gone` })
  }
}

describe('several processes on one server', { timeout: 240_000 }, () => {
  let rig: ChaosRig

  beforeAll(async () => {
    rig = await ChaosRig.start({ settings: { max_connections: 100 } })
  })
  afterEach(async () => {
    await rig.reset()
  })
  afterAll(async () => {
    await rig.stop()
  })

  it('eight that are killed and started again at random never hold more than their pools may, and the dead hold nothing', async () => {
    const random = seeded(8)
    const url = rig.server.connectionString
    const file = await program('process-program')
    const members: Member[] = []
    const all: Member[] = []
    let names = 0
    const add = (): Member => {
      const member = new Member(file, `member-${++names}`, url)
      all.push(member)
      return member
    }
    for (let index = 0; index < PROCESSES; index++) members.push(add())
    try {
      await waitFor(() => members.every(({ told }) => (told?.ok ?? 0) > 0), {
        what: 'all work',
        timeoutMillis: 60_000,
        everyMillis: 50,
      })
      const passed = stopwatch()
      const lateness: number[] = []
      let [kills, looks, mostAlive, nextKill] = [0, 0, 0, 0]
      while (passed() < pick(60_000, 4_000)) {
        if (passed() >= nextKill) {
          nextKill = passed() + (0.5 + random()) * pick(2_000, 800)
          const index = Math.floor(random() * PROCESSES)
          const victim = members[index] as Member
          await victim.kill()
          kills++
          const dead = stopwatch()
          members[index] = add()
          // Its backends end with the statement that they run, at the latest.
          void waitFor(
            async () => (await rig.view.backends()).every(({ applicationName }) => applicationName !== victim.name),
            {
              what: `the server has forgotten ${victim.name}`,
              timeoutMillis: 20_000,
              everyMillis: 20,
            },
          ).then(
            () => lateness.push(dead()),
            () => lateness.push(Infinity),
          )
        }
        const alive = new Set(members.map(({ name }) => name))
        const counts = new Map<string, number>()
        for (const { applicationName } of await rig.view.backends())
          counts.set(applicationName, (counts.get(applicationName) ?? 0) + 1)
        const ofLiving = [...counts].filter(([name]) => alive.has(name))
        const sum = ofLiving.reduce((total, [, count]) => total + count, 0)
        mostAlive = Math.max(mostAlive, sum)
        looks++
        expect(sum).toBeLessThanOrEqual(PROCESSES * MOST)
        for (const [name, count] of ofLiving) expect(count, name).toBeLessThanOrEqual(MOST)
        await sleep(20)
      }
      await waitFor(() => lateness.length === kills, {
        what: 'the server has forgotten all who died',
        timeoutMillis: 25_000,
      })
      for (const member of members) member.process.send('end')
      await waitFor(() => members.every(({ ended }) => ended), {
        what: 'all have closed and ended by themselves',
        timeoutMillis: 30_000,
      })
      await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds nothing any more' })
      figures('several processes', {
        processes: PROCESSES,
        kills,
        'looks at the server': looks,
        'allowed together': PROCESSES * MOST,
        'most of the living at once': mostAlive,
        'most of one process': Math.max(...all.map(({ told }) => told?.most ?? 0)),
        'dead forgotten after ms, at the latest': Math.max(...lateness),
        answers: all.reduce((total, { told }) => total + (told?.ok ?? 0), 0),
        failed: all.reduce((total, { told }) => total + (told?.failed ?? 0), 0),
      })
      expect(all.flatMap(({ problems }) => problems)).toEqual([])
      expect(kills).toBeGreaterThanOrEqual(pick(15, 3))
      expect(all.every(({ told }) => (told?.most ?? 0) <= MOST)).toBe(true)
      expect(Math.max(...lateness)).toBeLessThanOrEqual(LONGEST_QUERY_MILLIS + 1_000 + rig.lag.allowance)
      expect(members.every(({ process: { exitCode } }) => exitCode === 0)).toBe(true)
    } finally {
      for (const member of all) if (!member.ended) await member.kill()
    }
  })

  it('C25: threads and processes share no socket, and each keeps to its own size', async () => {
    const url = rig.server.connectionString
    const file = await program('thread-program')
    const pids = await Promise.all(
      Array.from(
        { length: PROCESSES },
        (_, index) =>
          new Promise<number[]>((resolve, reject) => {
            const env = { ...process.env, DATABASE_URL: url, APPLICATION_NAME: `thread-${index}` }
            const worker = new Worker(file, { env })
            worker.once('message', resolve)
            worker.once('error', reject)
          }),
      ),
    )
    const distinct = new Set(pids.flat())
    figures('C25 threads', { threads: PROCESSES, connections: distinct.size, 'allowed together': PROCESSES * MAX })
    expect(pids.every((each) => each.length === MAX)).toBe(true)
    expect(distinct.size).toBe(PROCESSES * MAX)
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'every thread has closed its pool' })
  })
})
