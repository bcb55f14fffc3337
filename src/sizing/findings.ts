import type { WaitObjective } from './queueing.ts'

/**
 * `UNDER`: callers wait too long, and more connections would help · `OVER`: half the pool was never in use ·
 * `SATURATED_SERVER`: the server is the limit, more connections make it worse · `LEASE_WASTE`: connections are held while
 * nothing runs on them · `BUDGET`: all instances together ask for more than the server has · `LOCK_RISK`: callers that hold
 * a connection wait for another one
 */
export type Verdict = 'UNDER' | 'OVER' | 'SATURATED_SERVER' | 'LEASE_WASTE' | 'BUDGET' | 'LOCK_RISK'

export interface Finding {
  readonly verdict: Verdict
  /** One sentence, with the numbers. */
  readonly why: string
  readonly numbers: Readonly<Record<string, number>>
}

/** What an advisor has measured. `max` and `budget` count connections, all else counts leases. */
export interface Measured {
  readonly max: number
  readonly leasesPerConnection: number
  readonly knee: { readonly connections: number } | undefined
  /** The share of the time in which more was out than the server gets something done with. */
  readonly beyondShare: number
  /** What meets the wait objective; nothing where there is nothing to go by. */
  readonly wanted: number | undefined
  readonly budget: number | undefined
  readonly lockFloor: number | undefined
  readonly samples: number
  readonly observedMillis: number
  readonly lateShare: number
  readonly fullShare: number
  readonly busyP99: number
  readonly workShare: number | undefined
}

/** What the findings are measured against. */
export interface Expectations {
  readonly serverLimit?: number | undefined
  readonly reserved?: number | undefined
  readonly instances?: number | undefined
  readonly overAfterMillis?: number | undefined
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

/** What is the case, the worst first. */
export function findingsOf(
  measured: Measured,
  { waitMillis, share }: WaitObjective,
  { serverLimit, reserved = 3, instances = 1, overAfterMillis = 24 * 3_600_000 }: Expectations,
): Finding[] {
  const { max, leasesPerConnection, knee, beyondShare, lateShare, fullShare, busyP99, budget, workShare, wanted } =
    measured
  const capacity = max * leasesPerConnection
  const connectionsFor = (leases: number): number => Math.max(1, Math.ceil(leases / leasesPerConnection))
  const unit = leasesPerConnection === 1 ? 'connections' : 'leases'
  const findings: Finding[] = []
  const find = (verdict: Verdict, why: string, numbers: Record<string, number>): void => {
    findings.push({ verdict, why, numbers })
  }
  if (serverLimit !== undefined && budget !== undefined && instances * max > serverLimit - reserved) {
    find(
      'BUDGET',
      `${instances} instances × max ${max} are ${instances * max} connections, and the server has ${serverLimit - reserved} for them: at most ${budget} each.`,
      { instances, max, serverLimit, reserved, budget },
    )
  }
  if (measured.lockFloor !== undefined) {
    const floor = connectionsFor(measured.lockFloor)
    find(
      'LOCK_RISK',
      `Callers that hold a connection have waited for another one of this pool: below ${floor} connections they can block each other for ever; pass the connection on instead.`,
      { lockFloor: measured.lockFloor, max },
    )
  }
  if (knee !== undefined && knee.connections < capacity) {
    const most = connectionsFor(knee.connections)
    const advice =
      most < max
        ? `Reduce to ${most}; more connections make it worse.`
        : 'A connection carries so many that fewer of them do not help: let fewer callers in at a time.'
    find(
      'SATURATED_SERVER',
      `More than ${knee.connections} ${unit} were out for ${percent(beyondShare)} of the time, and beyond ${knee.connections} the server gets no more done: work only takes longer. ${advice}`,
      { max, beyondShare, knee: knee.connections },
    )
  } else if (lateShare > share && wanted !== undefined && wanted > capacity) {
    const need = connectionsFor(wanted)
    find(
      'UNDER',
      `${percent(lateShare)} of the callers waited longer than ${waitMillis} ms (${percent(share)} may); ${need} connections would have been enough for this load, not ${max}.`,
      { lateShare, waitMillis, share, need, max },
    )
  }
  if (workShare !== undefined && workShare < 0.5 && fullShare > 0.05) {
    find(
      'LEASE_WASTE',
      `Something runs on a connection for ${percent(workShare)} of the time it is held: hold it shorter (no remote call, no computation inside) instead of adding connections.`,
      { workShare, fullShare },
    )
  }
  // A single connection cannot be halved.
  if (measured.observedMillis >= overAfterMillis && busyP99 <= 0.5 * capacity && max > 1 && measured.samples > 0) {
    const need = connectionsFor(wanted ?? busyP99)
    if (need < max)
      find(
        'OVER',
        `For 99 % of the time at most ${busyP99} of ${capacity} ${unit} were out: ${need} ${need === 1 ? 'connection is' : 'connections are'} enough for this load.`,
        { busyP99, max, need },
      )
  }
  return findings
}
