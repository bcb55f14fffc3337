import 'reflect-metadata'
import { Controller, Get, Inject, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { HealthCheckService, TerminusModule } from '@nestjs/terminus'
import { terminusIndicator } from 'millpond/health'

/**
 * An indicator for NestJS' terminus. Its decorators are applied by hand, so that Node runs this file as it is; in
 * TypeScript they stand where they are named.
 */
export async function start(registry) {
  const pools = terminusIndicator(registry, { cacheMillis: 0 })

  // @Controller('health')
  class HealthController {
    constructor(health) {
      this.health = health
    }
    // @Get('ready')
    ready() {
      return this.health.check([pools])
    }
  }
  Controller('health')(HealthController)
  Inject(HealthCheckService)(HealthController, undefined, 0)
  Get('ready')(
    HealthController.prototype,
    'ready',
    Object.getOwnPropertyDescriptor(HealthController.prototype, 'ready'),
  )

  // @Module({ imports: [TerminusModule], controllers: [HealthController] })
  // eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a module of Nest is one
  class AppModule {}
  Module({ imports: [TerminusModule.forRoot({ logger: false })], controllers: [HealthController] })(AppModule)

  const app = await NestFactory.create(AppModule, { logger: false })
  await app.listen(0, '127.0.0.1')
  return { url: await app.getUrl(), stop: () => app.close() }
}
