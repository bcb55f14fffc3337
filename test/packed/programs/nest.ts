import 'reflect-metadata'
import { Controller, Get, Inject, Module, type OnApplicationShutdown } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import pg = require('pg')
import { pgPool } from 'millpond/pg'

const POOL = Symbol('pool')

@Controller()
class UsersController {
  constructor(@Inject(POOL) private readonly pool: pg.Pool) {}

  @Get('/answer')
  async answer(): Promise<{ answer: number }> {
    const { rows } = await this.pool.query<{ answer: number }>('SELECT 42 AS answer')
    return rows[0]!
  }
}

@Module({
  controllers: [UsersController],
  providers: [{ provide: POOL, useFactory: () => pgPool(pg, { connectionString: process.env['DATABASE_URL']! }) }],
})
class AppModule implements OnApplicationShutdown {
  constructor(@Inject(POOL) private readonly pool: pg.Pool) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end()
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: false })
  await app.listen(0, '127.0.0.1')
  const answer = await (await fetch(`${await app.getUrl()}/answer`)).json()
  if ((answer as { answer: number }).answer !== 42) throw new Error(`got ${JSON.stringify(answer)}`)
  await app.close()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
