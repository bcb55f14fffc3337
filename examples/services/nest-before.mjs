// DATABASE_URL=postgres://… node examples/services/nest-before.mjs
// The decorators are applied by hand, so that Node runs this file as it is; in TypeScript they stand where they are named.
import 'reflect-metadata'
import { Body, Controller, Get, Module, Param, Post } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { findOrder, placeOrder } from './pools-before.mjs'

const method = (Class, name) => Object.getOwnPropertyDescriptor(Class.prototype, name)

// @Controller('orders')
class OrdersController {
  // @Get(':id') find(@Param('id') id: string)
  async find(id) {
    return await findOrder(id)
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

// @Module({ controllers: [OrdersController] })
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a module of Nest is one
class AppModule {}
Module({ controllers: [OrdersController] })(AppModule)

const app = await NestFactory.create(AppModule, { logger: false })
await app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
console.log(await app.getUrl())
