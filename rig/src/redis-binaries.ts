import { findProgram } from './child.ts'
import { NotInstalledError } from './not-installed.ts'

/** Where Debian, Homebrew and hand-made builds put it, besides the PATH. */
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/local/opt/redis/bin']

/** The Redis server of this machine. @throws {NotInstalledError} with what to install where there is none */
export function findRedis(): string {
  const found = findProgram('redis-server', FOLDERS)
  if (found !== undefined) return found
  throw new NotInstalledError(
    'redis-server is not installed; run `node scripts/install-servers.mjs` (root on Debian or Ubuntu), or install Redis 7 with your package manager',
  )
}
