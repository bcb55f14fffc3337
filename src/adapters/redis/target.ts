type Given = Readonly<Record<string, unknown>>

const partsOf = (value: unknown): Given => (typeof value === 'object' && value !== null ? (value as Given) : {})
const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/** Where a pool leads to, as far as its options say, and without a secret. */
export function targetOf(client: Given): string {
  const { url, sentinels, sentinelRootNodes, rootNodes, nodes } = client
  if (typeof url === 'string') {
    // Greedy: also of a password that is not encoded as it must be, nothing is left.
    return url.replace(/:\/\/([^:@/]*)(?::.*)?@/s, '://$1@').replace(/\?.*$/s, '')
  }
  const sentinel = sentinels ?? sentinelRootNodes
  if (Array.isArray(sentinel)) return `redis-sentinel://${listOf(sentinel)}/${textOf(client['name'])}`
  const members = rootNodes ?? nodes
  if (Array.isArray(members)) return `redis-cluster://${listOf(members)}`
  // node-redis has the address in `socket`.
  const socket = { ...client, ...partsOf(client['socket']) }
  const place = textOf(socket['path']) || `${textOf(socket['host']) || 'localhost'}:${textOf(socket['port']) || '6379'}`
  return `redis://${textOf(client['username'])}@${place}/${textOf(client['db'] ?? client['database']) || '0'}`
}

function listOf(members: readonly unknown[]): string {
  return members
    .map((member) => {
      if (typeof member === 'string') return targetOf({ url: member })
      const { url, ...place } = { ...partsOf(member), ...partsOf(partsOf(member)['socket']) } as Given
      return typeof url === 'string' ? targetOf({ url }) : `${textOf(place['host'])}:${textOf(place['port'])}`
    })
    .sort()
    .join(',')
}
