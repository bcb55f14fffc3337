import type { ServerFacts } from './facts.ts'
import { askMongodb } from './mongodb.ts'
import { askMysql } from './mysql.ts'
import { askPostgres } from './postgres.ts'
import { askRedis } from './redis.ts'
import { loadDriver, SERVER_TIMEOUT_MILLIS, type Target } from './target.ts'

/** Asks one server for its facts, with the project's own driver. Rejects when it cannot be reached, within a few deadlines. */
export async function askServer(root: string, target: Target): Promise<ServerFacts> {
  const driver = await loadDriver(root, target.kind)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${(2 * SERVER_TIMEOUT_MILLIS) / 1_000} s`))
    }, 2 * SERVER_TIMEOUT_MILLIS)
  })
  const ask = (): Promise<ServerFacts> => {
    switch (target.kind) {
      case 'postgres':
        return askPostgres(driver.module, target)
      case 'mysql':
        return askMysql(driver.module, target)
      case 'mongodb':
        return askMongodb(driver, target)
      case 'redis':
        return askRedis(driver, target)
    }
  }
  try {
    return await Promise.race([ask(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** What went wrong, in one line and without what the URL keeps secret. */
export function reasonOf(error: unknown, { url }: Target): string {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: readonly Error[] }
  const text = [message, errors?.[0]?.message, code].find((each) => each !== undefined && each !== '') ?? String(error)
  const { password, username } = new URL(url)
  const secrets = [password, decodeURIComponent(password), username].filter((each) => each.length > 2)
  return secrets.reduce((sum, secret) => sum.replaceAll(secret, '***'), text.split('\n')[0] ?? '')
}
