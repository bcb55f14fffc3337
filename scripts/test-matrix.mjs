// npm run test:matrix: what runs on real servers, on every supported server with the lowest and the latest driver.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()

const results = []
for (const server of ['18', '16']) {
  for (const driver of ['latest', 'lowest']) {
    const name = `PostgreSQL ${server} with the ${driver} pg`
    console.log(`\n── ${name} ──`)
    // Libraries on top bring the driver that they need; some (Prisma) know a pool only by that driver's class.
    const without = driver === 'lowest' ? ['--exclude', 'test/integration/pg-consumers*'] : []
    const { status } = spawnSync(
      process.execPath,
      [
        `${root}node_modules/vitest/vitest.mjs`,
        ...['run', 'test/contract/pg', 'test/integration/pg', '--reporter=dot', ...without],
      ],
      { stdio: 'inherit', env: { ...process.env, MILLPOND_TEST_POSTGRES: server, MILLPOND_TEST_PG: driver } },
    )
    results.push({ name, ok: status === 0 })
  }
}
console.log('')
for (const { name, ok } of results) console.log(`${ok ? '✓' : '✗'} ${name}`)
const failed = results.filter(({ ok }) => !ok).length
console.log(`\n${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
