import { expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import type { ForeignPool } from 'millpond/observe'
import { observe } from 'millpond/observe'
import type { Subject, SubjectOptions } from './observe.ts'
import { expectTruth } from './observed.ts'

/** A server, and what may happen to it. */
export interface FaultyServer {
  kill(): Promise<unknown>
  start(): Promise<unknown>
  pause(): void
  resume(): void
  /** How many connections it has; those of the rig left out. */
  count(): Promise<number>
}

export interface Kind {
  readonly name: string
  readonly make: (options: SubjectOptions) => Subject
  /** Whether `health` has the server do something, rather than look at what is known. @defaultValue true */
  readonly asksServer?: boolean
}

interface Watched extends Kind {
  readonly subject: Subject
  readonly view: ForeignPool
  readonly told: string[]
}

const MOST = 3
const WAIT_MILLIS = 5_000
/** Some go on trying until whoever asked gives up, though the server says no at once. */
const WAIT_WHEN_FULL_MILLIS = 2_000

function watch(kind: Kind, options: SubjectOptions = { max: MOST, waitMillis: WAIT_MILLIS }): Watched {
  const subject = kind.make(options)
  const view = observe(subject.pool)
  const told: string[] = []
  view.on('paused', () => told.push('paused'))
  view.on('resumed', () => told.push('resumed'))
  return { ...kind, subject, view, told }
}

/** Every pool and its view agree, and together they have what the server has. */
async function agree(all: readonly Watched[], server?: FaultyServer): Promise<void> {
  for (const { view, subject, name } of all)
    await waitFor(
      () => {
        expectTruth(view, subject)
        return true
      },
      { what: `the view on ${name} agrees with it`, timeoutMillis: 10_000 },
    )
  if (server === undefined) return
  await waitFor(async () => (await server.count()) === all.reduce((sum, { view }) => sum + view.stats().total, 0), {
    what: 'the server agrees with the views',
  })
}

const settled = async (work: Promise<unknown>): Promise<'done' | 'failed'> =>
  await work.then(
    () => 'done' as const,
    () => 'failed' as const,
  )

/** What is true of every pool that somebody watches, whatever happens to its server. All at once: a server takes long to start. */
export function keepsCountThroughFaults(kinds: readonly Kind[], server: () => FaultyServer): void {
  const names = kinds.map(({ name }) => name).join(', ')

  it(
    `${names}: counted right while the server is silent, killed, and back`,
    { timeout: 90_000 },
    async ({ onTestFinished }) => {
      let isDown = false
      // Whatever comes of this test, those after it need the server.
      onTestFinished(async () => {
        if (isDown) await server().start()
      })
      const all = kinds.map((kind) => watch(kind))
      await Promise.all(all.flatMap(({ subject }) => [subject.work(20), subject.work(20)]))
      const releases = await Promise.all(all.map(({ subject }) => subject.borrow()))
      await agree(all, server())
      for (const { view } of all) expect((await view.health({ timeoutMillis: 10_000 })).status).toBe('pass')

      server().pause()
      // Those who ask now have what is idle: a check must open something.
      const late = all.map(({ subject }) => settled(subject.work(0)))
      const checks = await Promise.all(all.map(({ view }) => view.health({ timeoutMillis: 300 })))
      server().resume()
      expect(checks.map(({ status }) => status)).toEqual(
        all.map(({ asksServer = true }) => (asksServer ? 'fail' : 'pass')),
      )
      expect(await Promise.all(late)).toEqual(all.map(() => 'done'))
      await agree(all, server())

      isDown = true
      await server().kill()
      await Promise.all(releases.map(async (release) => await settled(Promise.resolve().then(release))))
      // Whoever asks now learns it; some pools go on trying as long as somebody waits.
      expect(await Promise.all(all.map(({ subject }) => settled(subject.work(0))))).toEqual(all.map(() => 'failed'))
      await agree(all)
      for (const { view, told, subject, name } of all) {
        await waitFor(() => view.stats().total === 0, { what: 'what was open is gone' })
        // The first may still have been sent on a connection that was about to close.
        const isPaused = (): boolean => view.state === 'paused'
        const learns = async (): Promise<boolean> => {
          if (!isPaused()) await settled(subject.work(0))
          return isPaused()
        }
        await waitFor(learns, { what: `${name} is known to be down` })
        expect(told).toEqual(['paused'])
        expect((await view.health({ timeoutMillis: 10_000 })).status).toBe('fail')
      }

      await server().start()
      isDown = false
      await Promise.all(
        all.map(({ subject, name }) =>
          waitFor(async () => (await settled(subject.work(0))) === 'done', { what: `${name} works again` }),
        ),
      )
      await agree(all, server())
      for (const { view, told } of all) {
        expect(view.state).toBe('open')
        expect(told).toEqual(['paused', 'resumed'])
        expect((await view.health({ timeoutMillis: 10_000 })).status).toBe('pass')
      }
      await agree(all, server())
      await Promise.all(all.map(({ view }) => view.close({ timeoutMillis: 1_000 })))
      await waitFor(async () => (await server().count()) === 0, { what: 'the server has none left' })
      for (const { view } of all) expect(view.stats().total).toBe(0)
    },
  )
}

/** A server that takes no more: what was refused is no connection, and costs only whoever asked for it. */
export function keepsCountWhenFull(
  kinds: readonly Kind[],
  server: () => FaultyServer & { readonly takes: number },
): void {
  it.each(kinds)('$name: counted right on a server that takes no more', { timeout: 60_000 }, async (kind) => {
    const most = server().takes + 2
    const watched = watch(kind, { max: most, waitMillis: WAIT_WHEN_FULL_MILLIS })
    const { subject, view } = watched
    const asked = await Promise.all(
      Array.from({ length: most }, () =>
        subject.borrow().then(
          (release) => release,
          () => undefined,
        ),
      ),
    )
    const releases = asked.filter((release) => release !== undefined)
    expect(releases.length).toBeGreaterThan(0)
    await agree([watched], server())
    const { total, createErrors, acquired } = view.stats()
    expect(total).toBeLessThanOrEqual(server().takes)
    expect(view.state).toBe('open')
    // Over HTTP nobody says no: what is taken and cut again is a connection that broke.
    if (kind.asksServer !== false) {
      expect(total).toBe(releases.length)
      expect(acquired).toBe(releases.length)
      expect(createErrors).toBeGreaterThanOrEqual(1)
    }
    await Promise.all(releases.map(async (release) => await settled(Promise.resolve().then(release))))
    await agree([watched])
    await waitFor(async () => (await settled(subject.work(0))) === 'done', { what: 'it works on' })
    await agree([watched])
    await view.close({ timeoutMillis: 1_000 })
  })
}
