import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the one that started a program may order; each gets the value that comes with it. */
export type Orders = Readonly<Record<string, (value: string) => unknown>>

/** Takes orders over HTTP, and prints where: how a program of the rig is steered. */
export function takeOrders(orders: Orders): void {
  const control = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    const answer = orders[url.pathname.slice(1)]?.(url.searchParams.get('value') ?? '')
    response.end(JSON.stringify(answer ?? null))
  })
  control.listen(0, '127.0.0.1', () => {
    console.log(`control ${(control.address() as AddressInfo).port}`)
  })
  process.once('SIGTERM', () => orders['shutdown']?.(''))
  process.once('SIGINT', () => process.exit(0))
}
