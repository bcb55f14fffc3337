import { nameOf } from '../analysis/ast.ts'
import { looksLikePool } from '../analysis/borrowing.ts'
import { makerOfValue } from '../analysis/makers.ts'
import { defineRule, type Node, type SourceCode } from '../rule.ts'

/** Names that only these drivers' insides have. */
const DISTINCT: Readonly<Record<string, string>> = {
  _allConnections: 'mysql2',
  _freeConnections: 'mysql2',
  _connectionQueue: 'mysql2',
  _acquiringConnections: 'mysql',
  _pendingQueue: 'pg',
  availableConnectionCount: 'the MongoDB driver',
  totalConnectionCount: 'the MongoDB driver',
  currentCheckedOutCount: 'the MongoDB driver',
  _availableObjects: 'generic-pool',
  _waitingClientsQueue: 'generic-pool',
}
/** Names that mean it only on a pool or client. */
const ON_POOLS =
  /^(_clients|_idle|_endedClients|connectionPool|commandQueue|offlineQueue|_factory|pendingCreates|pendingAcquires)$/

export const noPrivateDriverFields = defineRule({
  name: 'no-private-driver-fields',
  description: 'Read statistics by public means, not from private fields of a driver',
  set: 'recommended',
  type: 'suggestion',
  types: true,
  messages: {
    private:
      '`{{field}}` is private to {{driver}}: a minor release may rename or empty it, and the number is then silently `undefined` or wrong. {{mend}}',
  },
  create(context) {
    const { sourceCode } = context
    return {
      MemberExpression(node) {
        const field = nameOf(node)
        if (field === undefined || isInsideOfClass(node)) return
        const driver = Object.hasOwn(DISTINCT, field) ? DISTINCT[field] : driverOf(node, field, sourceCode)
        if (driver === undefined) return
        // `client.topology.s.pool`: once is enough, at the outermost.
        const { parent } = node
        if (
          parent.type === 'MemberExpression' &&
          parent.object === node &&
          /^(s|pool|length|size)$/.test(nameOf(parent) ?? '') &&
          driver.startsWith('the Mongo')
        )
          return
        context.report({ node, messageId: 'private', data: { field, driver, mend: mendFor(driver) } })
      },
    }
  },
})

function driverOf(node: { readonly object: Node }, field: string, sourceCode: SourceCode): string | undefined {
  if (ON_POOLS.test(field)) {
    const maker = makerOfValue(node.object, sourceCode)
    if (maker !== undefined) return maker.driver
    return field.startsWith('_') && looksLikePool(node.object, sourceCode) ? 'its driver' : undefined
  }
  // The driver's `topology.s` holds its servers and their pools.
  if (field === 's' && node.object.type === 'MemberExpression' && nameOf(node.object) === 'topology')
    return 'the MongoDB driver'
  return undefined
}

/** `this._idle` of a pool of one's own. */
const isInsideOfClass = (node: { readonly object: Node }): boolean => node.object.type === 'ThisExpression'

function mendFor(driver: string): string {
  if (driver === 'the MongoDB driver')
    return 'Count its `connectionCreated` … `connectionClosed` events, or use `observeMongo(client)` of Millpond.'
  if (driver === 'pg')
    return 'Use `totalCount`, `idleCount` and `waitingCount`, or `observe(pool).stats()` of Millpond.'
  return 'Use what the driver documents, or `observe(pool).stats()` of Millpond.'
}
