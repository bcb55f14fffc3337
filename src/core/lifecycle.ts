/**
 * The states of a resource, as small integers because they index the counters of the hot path:
 *
 *     creating ──► idle ◄──► leased
 *        │          ▲ │         │
 *        ▼          │ ▼         ▼
 *      zombie     maintaining ◄─┘        any ──► closing ──► closed
 *
 * `zombie` is a create past its deadline that has not settled: its slot is free, its socket may still exist.
 */
export const CREATING = 0
export const IDLE = 1
export const LEASED = 2
export const MAINTAINING = 3
export const CLOSING = 4
export const CLOSED = 5
export const ZOMBIE = 6

export type EntryState = 0 | 1 | 2 | 3 | 4 | 5 | 6

export const ENTRY_STATE_NAMES = ['creating', 'idle', 'leased', 'maintaining', 'closing', 'closed', 'zombie'] as const

const LEGAL_ENTRY_MOVES: Readonly<Record<EntryState, readonly EntryState[]>> = {
  [CREATING]: [IDLE, MAINTAINING, CLOSING, CLOSED, ZOMBIE],
  [IDLE]: [LEASED, MAINTAINING, CLOSING],
  [LEASED]: [IDLE, MAINTAINING, CLOSING],
  [MAINTAINING]: [IDLE, CLOSING],
  [CLOSING]: [CLOSED],
  [CLOSED]: [],
  [ZOMBIE]: [CLOSING, CLOSED],
}

const STATES = ENTRY_STATE_NAMES.length
const isLegal = new Uint8Array(STATES * STATES)
for (const [from, tos] of Object.entries(LEGAL_ENTRY_MOVES))
  for (const to of tos) isLegal[Number(from) * STATES + to] = 1

/** Throws when a resource may not go from one state to the other: that is a bug of the pool. */
export function assertEntryMove(from: EntryState, to: EntryState): void {
  if (isLegal[from * STATES + to] !== 1) illegalEntryMove(from, to)
}

function illegalEntryMove(from: EntryState, to: EntryState): never {
  throw new Error(`bug: a resource cannot go from ${ENTRY_STATE_NAMES[from]} to ${ENTRY_STATE_NAMES[to]}`)
}

/**
 * The states of a pool. `paused`: nothing is open and creates fail, one probe at a time looks whether the server is
 * back. `suspended`: on request, nothing is handed out.
 */
export type PoolState = 'open' | 'paused' | 'suspended' | 'closing' | 'closed'

const LEGAL_POOL_MOVES: Readonly<Record<PoolState, readonly PoolState[]>> = {
  open: ['paused', 'suspended', 'closing'],
  paused: ['open', 'suspended', 'closing'],
  suspended: ['open', 'paused', 'closing'],
  closing: ['closed'],
  closed: [],
}

/** Throws when a pool may not go from one state to the other: that is a bug of the pool. */
export function assertPoolMove(from: PoolState, to: PoolState): void {
  if (!LEGAL_POOL_MOVES[from].includes(to)) throw new Error(`bug: a pool cannot go from ${from} to ${to}`)
}
