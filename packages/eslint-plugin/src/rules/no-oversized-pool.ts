import { creationOf, givenOptions } from '../analysis/makers.ts'
import { DRIVER_NAMES } from '../data/drivers.ts'
import { defineRule, optionsOf, type Node } from '../rule.ts'
import { valueOf } from './require-connection-timeout.ts'

const DEFAULTS = { max: 100, minShare: 0.5, minAtLeast: 10 }

/** Agents bound sockets per origin for HTTP servers, which take more of them than a database does. */
const PER_ORIGIN = new Set(['undici', 'http-agent', 'agentkeepalive'])

export const noOversizedPool = defineRule({
  name: 'no-oversized-pool',
  description: 'Keep a pool within what a server can work on, and its minimum well below its maximum',
  set: 'recommended',
  options: {
    max: { type: 'number', minimum: 1, description: 'The largest size that is not reported.' },
    minShare: { type: 'number', minimum: 0, maximum: 1, description: 'The largest share of max that min may have.' },
    minAtLeast: { type: 'number', minimum: 0, description: 'The smallest min that is reported.' },
  },
  defaults: DEFAULTS,
  messages: {
    tooLarge:
      '`{{option}}: {{value}}` asks for more connections than a server works on at once (bound: {{bound}}). Throughput peaks at a few per core of the server; beyond, each one only adds memory and waiting. Every replica of this program takes as many again.',
    unlimited:
      '`{{option}}: {{value}}` means no limit to {{driver}}: a burst opens as many connections as there are callers. Set a bound.',
    minCloseToMax:
      '`{{minOption}}: {{min}}` of {{max}} keeps most of the pool open when nobody needs it, on every replica. A few are enough: {{suggest}}.',
  },
  create(context) {
    const { sourceCode } = context
    const { max: bound, minShare, minAtLeast } = optionsOf(context, DEFAULTS)
    const check = (node: Node): void => {
      const creation = creationOf(node, sourceCode)
      const maker = creation?.maker
      if (creation === undefined || maker?.max === undefined) return
      const { object } = givenOptions(creation, sourceCode)
      if (object === undefined) return
      const driver = DRIVER_NAMES[maker.driver] ?? maker.driver
      const option = maker.max.key
      const max = valueOf(object, option, sourceCode)
      if (max !== undefined && (max.number === Infinity || (max.number === 0 && maker.max.zeroIsUnlimited === true))) {
        if (!PER_ORIGIN.has(maker.driver))
          context.report({ node: max.node, messageId: 'unlimited', data: { option, value: max.number, driver } })
      } else if (max !== undefined && max.number > bound * (PER_ORIGIN.has(maker.driver) ? 5 : 1)) {
        context.report({ node: max.node, messageId: 'tooLarge', data: { option, value: max.number, bound } })
      }
      const min = maker.min === undefined ? undefined : valueOf(object, maker.min, sourceCode)
      const limit = max?.number ?? maker.max.default
      if (min === undefined || min.number < minAtLeast || min.number < limit * minShare) return
      context.report({
        node: min.node,
        messageId: 'minCloseToMax',
        data: {
          minOption: maker.min ?? 'min',
          min: min.number,
          max: limit,
          suggest: Math.max(1, Math.min(5, Math.round(limit / 4))),
        },
      })
    }
    return { NewExpression: check, CallExpression: check }
  },
})
