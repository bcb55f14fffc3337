import type { OptionRow } from './option-row.ts'

const SQL = ['postgres', 'mysql'] as const

/** What one kind has and others have not: the part of the table that is about drivers. */
export const DRIVER_OPTIONS = {
  statementTimeoutMillis: {
    group: 'driver',
    rule: { type: 'duration', zero: true },
    kinds: ['postgres'],
    as: { postgres: 'statement_timeout' },
    drivers: { postgres: ['statement_timeout'] },
    docs: 'The server ends a statement that runs longer; `0` never.',
  },
  idleInTransactionTimeoutMillis: {
    group: 'driver',
    rule: { type: 'duration', zero: true },
    kinds: ['postgres'],
    as: { postgres: 'idle_in_transaction_session_timeout' },
    drivers: { postgres: ['idle_in_transaction_session_timeout'] },
    docs: 'The server ends a session that idles in a transaction longer; `0` never.',
  },
  queryTimeoutMillis: {
    group: 'driver',
    rule: { type: 'duration', zero: true },
    kinds: ['postgres'],
    as: { postgres: 'query_timeout' },
    drivers: { postgres: ['query_timeout'] },
    docs: 'The client gives up a statement that takes longer, cancels it and ends its connection; `0` never.',
  },
  resetSession: {
    group: 'driver',
    rule: { type: 'one-of', values: ['auto', 'always', 'never'] },
    kinds: SQL,
    fallback: 'auto',
    docs: 'Whether a session is cleaned between borrowers: when it took on state, always, or never.',
  },
  targetSessionAttrs: {
    group: 'driver',
    rule: { type: 'one-of', values: ['any', 'read-write', 'read-only', 'primary', 'standby'] },
    kinds: ['postgres'],
    fallback: 'any',
    drivers: { postgres: ['target_session_attrs'] },
    docs: 'Which of several servers is wanted.',
  },
  shared: {
    group: 'driver',
    rule: { type: 'integer', min: 1 },
    kinds: ['redis'],
    fallback: 1,
    docs: 'Connections that all plain commands share.',
  },
  maxSubscribers: {
    group: 'driver',
    rule: { type: 'integer', min: 1, infinity: true },
    kinds: ['redis'],
    fallback: 10,
    docs: 'The most connections that only listen.',
  },
  headersTimeoutMillis: {
    group: 'driver',
    rule: { type: 'duration', infinity: true },
    kinds: ['http'],
    fallback: 30_000,
    docs: 'How long a server may take to its first headers.',
  },
  bodyTimeoutMillis: {
    group: 'driver',
    rule: { type: 'duration', infinity: true },
    kinds: ['http'],
    fallback: 30_000,
    docs: 'How long a body may stand still.',
  },
  maxTotal: {
    group: 'driver',
    rule: { type: 'integer', min: 1, infinity: true },
    kinds: ['http'],
    fallback: Infinity,
    docs: 'The most connections to all origins together.',
  },
  streamsPerChannel: {
    group: 'driver',
    rule: { type: 'integer', min: 1 },
    kinds: ['grpc'],
    fallback: 80,
    docs: 'Calls at a time on one channel before another one is opened.',
  },
} as const satisfies Readonly<Record<string, OptionRow>>
