import { Long, Timestamp, type Document } from 'bson'
import { cursorNotFound } from './errors.ts'
import type { Change, Store } from './store.ts'

/** How long a `getMore` of a change stream waits for a change where the client says nothing. */
const AWAIT_MILLIS = 1_000

interface Cursor {
  readonly namespace: string
  readonly comment: unknown
  /** The next batch; waits where there may be more later. */
  take(batchSize: number, maxTimeMillis: number): Document[] | Promise<Document[]>
  /** Whether `take` can give more. */
  readonly isOpen: boolean
  readonly resumeToken?: Document
}

/** What the server keeps for clients that read in batches. */
export class Cursors {
  readonly #store: Store
  readonly #open = new Map<string, Cursor>()
  #lastId = 1_000

  constructor(store: Store) {
    this.#store = store
  }

  get size(): number {
    return this.#open.size
  }

  /** The first batch of what is there already. */
  async first(namespace: string, documents: Document[], batchSize: number, singleBatch: boolean): Promise<Document> {
    let at = 0
    const cursor: Cursor = {
      namespace,
      comment: undefined,
      take: (count) => documents.slice(at, (at += count)),
      get isOpen() {
        return at < documents.length && !singleBatch
      },
    }
    return await this.#reply(cursor, 'firstBatch', batchSize, 0)
  }

  /** A cursor on what changes from now on, or from a token on. */
  async watch(db: string, collection: string | undefined, resumeAfter: unknown): Promise<Document> {
    const { changes } = this.#store
    const whose = (change: Change): boolean =>
      change.db === db && (collection === undefined || change.collection === collection)
    let at = resumeAfter === undefined ? changes.length : Number((resumeAfter as Document)['_data']) + 1
    const next = (count: number): Document[] => {
      const batch: Document[] = []
      for (; at < changes.length && batch.length < count; at++) {
        const change = changes[at]
        if (change !== undefined && whose(change)) batch.push(changeDocument(change, at))
      }
      return batch
    }
    const cursor: Cursor = {
      namespace: `${db}.${collection ?? '$cmd.aggregate'}`,
      comment: undefined,
      isOpen: true,
      get resumeToken() {
        return { _data: String(at - 1) }
      },
      take: async (count, maxTimeMillis) => {
        const until = performance.now() + maxTimeMillis
        for (;;) {
          const batch = next(count)
          const leftMillis = until - performance.now()
          if (batch.length > 0 || leftMillis <= 0) return batch
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, leftMillis)
            this.#store.onNextChange(() => {
              clearTimeout(timer)
              resolve()
            })
          })
        }
      },
    }
    return await this.#reply(cursor, 'firstBatch', 101, 0)
  }

  /** @throws {CommandError} where there is no such cursor */
  async more(id: unknown, batchSize: number, maxTimeMillis = AWAIT_MILLIS): Promise<Document> {
    const cursor = this.#open.get(String(id))
    if (cursor === undefined) throw cursorNotFound(id)
    return await this.#reply(cursor, 'nextBatch', batchSize, maxTimeMillis, String(id))
  }

  kill(ids: readonly unknown[]): Document {
    const cursorsKilled = ids.filter((id) => this.#open.delete(String(id)))
    const cursorsNotFound = ids.filter((id) => !cursorsKilled.includes(id))
    return { cursorsKilled, cursorsNotFound, cursorsAlive: [], cursorsUnknown: [] }
  }

  async #reply(
    cursor: Cursor,
    batchName: 'firstBatch' | 'nextBatch',
    batchSize: number,
    maxTimeMillis: number,
    known?: string,
  ): Promise<Document> {
    const batch = await cursor.take(batchSize, maxTimeMillis)
    let id = '0'
    if (cursor.isOpen) this.#open.set((id = known ?? String(++this.#lastId)), cursor)
    else if (known !== undefined) this.#open.delete(known)
    const { resumeToken } = cursor
    return {
      cursor: {
        [batchName]: batch,
        id: Long.fromString(id),
        ns: cursor.namespace,
        ...(resumeToken === undefined ? {} : { postBatchResumeToken: resumeToken }),
      },
    }
  }
}

function changeDocument({ operationType, db, collection, key, document }: Change, at: number): Document {
  return {
    _id: { _data: String(at) },
    operationType,
    clusterTime: new Timestamp({ t: Math.floor(Date.now() / 1_000), i: 1 }),
    ns: { db, coll: collection },
    documentKey: key,
    ...(document === undefined
      ? {}
      : operationType === 'update'
        ? { updateDescription: { updatedFields: document, removedFields: [], truncatedArrays: [] } }
        : { fullDocument: document }),
  }
}

/** Of a batch, where the client says nothing; a `find` and an `aggregate` give 101 documents at first. */
export function batchSizeOf(value: unknown, fallback: number): number {
  return value === undefined ? fallback : Number(value)
}
