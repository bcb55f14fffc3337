/**
 * One side of a pair, in a process of its own: it runs a block of operations whenever it is told to, and sends the
 * figures. Arguments: the module with `PAIRS`, the name of one, the target as JSON, the side.
 */
import { block } from './block.mjs'

const [, , module = '', name = '', target = '', side = ''] = process.argv

const { PAIRS } = await import(module)
const client = await PAIRS[name][side](JSON.parse(target))

process.on('message', async ({ callers, operations }) => {
  if (operations > 0) return process.send(await block(client, callers, operations))
  await client.close()
  process.exit(0)
})
process.on('disconnect', () => process.exit(1))
process.send('ready')
