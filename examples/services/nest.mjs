// DATABASE_URL=postgres://… node examples/services/nest.mjs
// The decorators are applied by hand, so that Node runs this file as it is; in TypeScript they stand where they are named.
import 'reflect-metadata'
import { Body, Catch, Controller, Get, Inject, Module, NotFoundException, Param, Post } from '@nestjs/common'
import { HttpAdapterHost, NestFactory } from '@nestjs/core'
import { PoolError, stopServer } from 'millpond'
import { healthHandler, toNodeHandler } from 'millpond/health'
import { findOrder, placeOrder, registry } from './pools.mjs'

const method = (Class, name) => Object.getOwnPropertyDescriptor(Class.prototype, name)

// @Controller('orders')
class OrdersController {
  // @Get(':id') find(@Param('id') id: string)
  async find(id) {
    const order = await findOrder(id)
    if (order === undefined) throw new NotFoundException()
    return order
  }
  // @Post() place(@Body() order: NewOrder)
  async place(order) {
    return { id: await placeOrder(order) }
  }
}
Controller('orders')(OrdersController)
Param('id')(OrdersController.prototype, 'find', 0)
Get(':id')(OrdersController.prototype, 'find', method(OrdersController, 'find'))
Body()(OrdersController.prototype, 'place', 0)
Post()(OrdersController.prototype, 'place', method(OrdersController, 'place'))

/** Nest calls the first when the process is to end, and the second when its server has stopped. */
class PoolsLifecycle {
  // @Inject('pools') pools: PoolRegistry, host: HttpAdapterHost
  constructor(pools, host) {
    this.pools = pools
    this.host = host
  }
  async beforeApplicationShutdown() {
    this.pools.markNotReady()
    await stopServer(this.host.httpAdapter.getHttpServer())
  }
  async onApplicationShutdown() {
    await this.pools.close()
  }
}
Inject('pools')(PoolsLifecycle, undefined, 0)
Inject(HttpAdapterHost)(PoolsLifecycle, undefined, 1)

// @Catch(PoolError): full, down or closing, the request may succeed later, and elsewhere.
class PoolErrorFilter {
  catch(error, host) {
    const response = host.switchToHttp().getResponse()
    response.status(503).set('retry-after', '1').json({ error: 'try again later' })
  }
}
Catch(PoolError)(PoolErrorFilter)

// @Module({ controllers: […], providers: […] })
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a module of Nest is one
class AppModule {}
Module({ controllers: [OrdersController], providers: [{ provide: 'pools', useValue: registry }, PoolsLifecycle] })(
  AppModule,
)

const app = await NestFactory.create(AppModule, { logger: false })
app.use('/health', toNodeHandler(healthHandler(registry)))
app.useGlobalFilters(new PoolErrorFilter())
app.enableShutdownHooks() // instead of registry.closeOnSignals()
await app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
console.log(await app.getUrl())
