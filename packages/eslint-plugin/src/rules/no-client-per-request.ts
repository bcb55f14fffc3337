import { creationOf, type Creation } from '../analysis/makers.ts'
import { Occasions, outlives } from '../analysis/handlers.ts'
import { DRIVER_NAMES } from '../data/drivers.ts'
import { defineRule, type Node } from '../rule.ts'

export const noClientPerRequest = defineRule({
  name: 'no-client-per-request',
  description: 'Make pools and clients once per process, not in what runs per request, invocation or job',
  set: 'recommended',
  messages: {
    pool: 'A {{driver}} pool is made for every {{occasion}} here: nothing is ever reused, and each opens connections of its own. Make one pool at the top of a module, and share it.',
    client:
      'A {{driver}} client is made for every {{occasion}} here: each connects, and many keep connections open behind it. Make one at the top of a module, and share it.',
    connection:
      'A connection is opened for every {{occasion}} here: a handshake, a login and a process on the server each time. Borrow from a pool made at the top of a module.',
  },
  create(context) {
    const { sourceCode } = context
    const occasions = new Occasions(sourceCode)
    const creations: Creation[] = []
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      if (creation !== undefined && !outlives(node, sourceCode)) creations.push(creation)
    }
    return {
      ':function': (node: Parameters<Occasions['seeFunction']>[0]) => {
        occasions.seeFunction(node)
      },
      NewExpression: check,
      CallExpression(node) {
        occasions.seeCall(node)
        check(node)
      },
      'Program:exit'() {
        for (const { node, maker } of creations) {
          const occasion = occasions.of(node)
          if (occasion === undefined) continue
          const driver = DRIVER_NAMES[maker.driver] ?? maker.driver
          context.report({ node, messageId: maker.role, data: { occasion, driver } })
        }
      },
    }
  },
})
