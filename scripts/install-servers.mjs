// Installs the servers that the tests need and that npm does not bring, where it may: as root on Debian or Ubuntu.
// Elsewhere it says what to install. The tests of a server that is missing are skipped loudly, and fail with CI=true.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the packages of Debian's own Python are, /usr/bin/python3, whatever else is called `python3` here. */
const PYTHON = '/usr/lib/python3/dist-packages'

/** What is needed: the program (or the absolute path of a file) that shows it is there, and what brings it. */
const SERVERS = [
  { what: 'Redis 7', program: 'redis-server', packages: ['redis-server'], elsewhere: 'redis' },
  {
    what: 'MariaDB',
    program: 'mariadbd',
    packages: ['mariadb-server-core', 'mariadb-client-core'],
    elsewhere: 'mariadb',
  },
  { what: 'Prometheus', program: 'promtool', packages: ['prometheus'], elsewhere: 'prometheus' },
  { what: 'nginx', program: 'nginx', packages: ['nginx-light'], elsewhere: 'nginx' },
  { what: 'HAProxy', program: 'haproxy', packages: ['haproxy'], elsewhere: 'haproxy' },
  { what: 'PgBouncer', program: 'pgbouncer', packages: ['pgbouncer'], elsewhere: 'pgbouncer' },
  { what: 'Chromium', program: 'chromium', packages: ['chromium'], elsewhere: 'chromium' },
  { what: 'requests for Python', program: `${PYTHON}/requests`, packages: ['python3-requests'], elsewhere: 'requests' },
  { what: 'gRPC for Python', program: `${PYTHON}/grpc`, packages: ['python3-grpcio'], elsewhere: 'grpcio' },
]

const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin']

/** Programs that count as missing, as in the rig: to see what is said where they are. */
const HIDDEN = (process.env.MILLPOND_RIG_WITHOUT ?? '').split(',')

const isThere = (program) =>
  !HIDDEN.includes(program) &&
  (isAbsolute(program) ? existsSync(program) : FOLDERS.some((folder) => existsSync(join(folder, program))))

/** Installs what is missing. Returns whether everything is there now. */
export function installServers() {
  const missing = SERVERS.filter(({ program }) => !isThere(program))
  if (missing.length === 0) return true
  const names = missing.map(({ what }) => what).join(', ')
  if (process.getuid?.() !== 0 || !isThere('apt-get')) {
    const hints = missing.map(({ what, elsewhere }) => `${what} (\`${elsewhere}\`)`).join(', ')
    console.warn(`Not installed, and not installable from here: ${hints}. Their tests are skipped.`)
    return false
  }
  console.log(`Installing ${names} …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const run = (...args) => spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], { stdio: 'inherit', env })
  const install = ['install', '-y', '--no-install-recommends', ...missing.flatMap(({ packages }) => packages)]
  if (run('update').status !== 0 || run(...install).status !== 0) return false
  return missing.every(({ program }) => isThere(program))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(installServers() ? 0 : 1)
