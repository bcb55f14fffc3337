import type { Document } from 'bson'
import { noSuchTransaction } from './errors.ts'
import type { Collection } from './store.ts'

interface Transaction {
  readonly number: string
  /** Puts back each collection that the transaction has written to. */
  readonly undo: Map<Collection, () => void>
}

/** Which session a command belongs to. */
export function sessionOf(command: Document): string | undefined {
  const { id } = (command['lsid'] ?? {}) as { readonly id?: { toString(encoding: 'hex'): string } }
  return id?.toString('hex')
}

/**
 * Transactions without isolation: what one writes is seen by all at once, and taken back when it is aborted. That is
 * enough to see a pool at work, and nothing else.
 */
export class Transactions {
  readonly #open = new Map<string, Transaction>()

  get size(): number {
    return this.#open.size
  }

  /** @throws {CommandError} where the command belongs to a transaction that there is not */
  check(command: Document): Transaction | undefined {
    if (command['autocommit'] !== false) return undefined
    const session = sessionOf(command) ?? ''
    const number = String(command['txnNumber'])
    if (command['startTransaction'] === true) this.#open.set(session, { number, undo: new Map() })
    const transaction = this.#open.get(session)
    if (transaction?.number !== number) throw noSuchTransaction()
    return transaction
  }

  /** Before a write to this collection. */
  willWrite(transaction: Transaction | undefined, collection: Collection): void {
    if (transaction !== undefined && !transaction.undo.has(collection))
      transaction.undo.set(collection, collection.snapshot())
  }

  end(command: Document, how: 'commit' | 'abort'): void {
    const transaction = this.check(command)
    this.#open.delete(sessionOf(command) ?? '')
    if (how === 'abort') for (const putBack of transaction?.undo.values() ?? []) putBack()
  }

  forget(session: string): void {
    const transaction = this.#open.get(session)
    this.#open.delete(session)
    for (const putBack of transaction?.undo.values() ?? []) putBack()
  }
}
