import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { checkMariaDb, NotInstalledError } from '@millpond/rig'

const SCRIPT = fileURLToPath(new URL('../../scripts/install-servers.mjs', import.meta.url))

it('where nothing may be installed, it is said what is missing and what it is called elsewhere', () => {
  // As on a machine that is neither Debian nor Ubuntu.
  const env = { ...process.env, MILLPOND_RIG_WITHOUT: 'redis-server,promtool,apt-get' }
  const { status, stderr, stdout } = spawnSync(process.execPath, [SCRIPT], { env, encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^Not installed, and not installable from here: .*Redis 7 \(`redis`\)/)
  expect(stderr).toMatch(/Prometheus \(`prometheus`\)/)
  expect(stderr).toMatch(/Their tests are skipped\.$/m)
  expect(stdout).toBe('')
})

it('a server whose program is missing is told apart from one that does not start', ({ onTestFinished }) => {
  const before = process.env['MILLPOND_RIG_WITHOUT']
  onTestFinished(() => {
    if (before === undefined) delete process.env['MILLPOND_RIG_WITHOUT']
    else process.env['MILLPOND_RIG_WITHOUT'] = before
  })
  process.env['MILLPOND_RIG_WITHOUT'] = 'mariadbd'
  expect(() => checkMariaDb()).toThrow(NotInstalledError)
})
