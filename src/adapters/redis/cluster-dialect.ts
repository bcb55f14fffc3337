import type { Dialect, DriverClient } from './driver.ts'

/** A node of a cluster, as the driver's cluster client sees it now. */
export interface ClusterNode {
  /** `host:port`, by which the driver connects to it. */
  readonly address: string
  readonly role: 'master' | 'replica'
  /** Whether the connection that everybody shares takes commands; false too where none was needed yet. */
  readonly connected: boolean
  /** Commands on that connection without an answer; 0 where the driver does not tell. */
  readonly inFlight: number
}

/**
 * One driver's ways with a cluster. What it opens is the driver's whole cluster client: that finds the nodes, follows
 * MOVED and ASK, reads from replicas and connects anew by itself.
 */
export interface ClusterDialect extends Dialect {
  /** What the driver puts before every key. */
  readonly keyPrefix: string
  nodes(cluster: DriverClient): readonly ClusterNode[]
  /** The address of the master that serves a slot, as far as the driver knows; without a slot, any master's. */
  ownerOf(cluster: DriverClient, slot: number | undefined): string | undefined
  /**
   * Has the driver ask who serves what; {@link ownerOf} tells the answer then.
   *
   * @param moved - a key of which a node said that it has moved
   */
  refresh(cluster: DriverClient, moved?: unknown): Promise<void>
  /** How to make connections of one's own to a node. */
  nodeDialect(cluster: DriverClient, address: string): Promise<Dialect>
}
