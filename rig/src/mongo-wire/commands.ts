import type { Document } from 'bson'
import { Aggregator } from 'mingo'
import { batchSizeOf, type Cursors } from './cursors.ts'
import { CommandError, notPrimary } from './errors.ts'
import type { Store } from './store.ts'
import type { Transactions } from './transactions.ts'

export interface CommandContext {
  readonly store: Store
  readonly cursors: Cursors
  readonly transactions: Transactions
  readonly db: string
  readonly command: Document
  readonly isPrimary: boolean
}

type Command = (context: CommandContext) => Document | Promise<Document>

interface WriteResult {
  n: number
  readonly writeErrors: Document[]
}

const text = (value: unknown): string => String(value)
const documentOf = (value: unknown): Document => value ?? {}
const listOf = (value: unknown): Document[] => (value ?? []) as Document[]

/** Runs each write of an ordered or unordered batch; the errors go into the reply. */
function runBatch(writes: Document[], ordered: boolean, run: (write: Document, index: number) => number): WriteResult {
  const result: WriteResult = { n: 0, writeErrors: [] }
  for (const [index, write] of writes.entries()) {
    try {
      result.n += run(write, index)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      result.writeErrors.push({ index, code: error.code, errmsg: error.message, ...error.extra })
      if (ordered) break
    }
  }
  return result
}

const replyOf = ({ n, writeErrors }: WriteResult): Document => ({
  n,
  ...(writeErrors.length > 0 ? { writeErrors } : {}),
})

/** The collection that a write is for, once it is sure that writing is allowed. */
function toWrite({ store, transactions, db, command, isPrimary }: CommandContext, name: unknown) {
  if (!isPrimary) throw notPrimary()
  const collection = store.collection(db, text(name))
  transactions.willWrite(transactions.check(command), collection)
  return collection
}

function findAndModify(context: CommandContext): Document {
  const { command } = context
  const collection = toWrite(context, command['findAndModify'] ?? command['findandmodify'])
  const filter = documentOf(command['query'])
  const [first] = sorted(collection.find(filter), command['sort'])
  const target = first === undefined ? filter : { _id: first['_id'] as unknown }
  if (command['remove'] === true) {
    const [removed] = first === undefined ? [] : collection.remove(target, false)
    return { lastErrorObject: { n: removed === undefined ? 0 : 1 }, value: removed ?? null }
  }
  const { before, after, upserted } = collection.update(target, command['update'] as Document, {
    many: false,
    upsert: command['upsert'] === true,
    arrayFilters: listOf(command['arrayFilters']),
  })
  const value = command['new'] === true ? (after[0] ?? upserted) : before[0]
  return {
    lastErrorObject: {
      n: after.length + (upserted === undefined ? 0 : 1),
      updatedExisting: after.length > 0,
      ...(upserted === undefined ? {} : { upserted: upserted['_id'] as unknown }),
    },
    value: value ?? null,
  }
}

function sorted(documents: Document[], sort: unknown): Document[] {
  if (sort === undefined || Object.keys(documentOf(sort)).length === 0) return documents
  return pipelineOn(documents, [{ $sort: documentOf(sort) }])
}

function pipelineOn(documents: Document[], pipeline: Document[]): Document[] {
  return pipeline.length === 0 ? documents : new Aggregator(pipeline).run(documents)
}

async function find({ store, cursors, db, command }: CommandContext): Promise<Document> {
  const name = text(command['find'])
  const stages: Document[] = []
  const { sort, skip, limit, projection } = command as Record<string, unknown>
  if (sort !== undefined && Object.keys(documentOf(sort)).length > 0) stages.push({ $sort: documentOf(sort) })
  if (Number(skip ?? 0) > 0) stages.push({ $skip: Number(skip) })
  if (Number(limit ?? 0) !== 0) stages.push({ $limit: Math.abs(Number(limit)) })
  if (Object.keys(documentOf(projection)).length > 0) stages.push({ $project: documentOf(projection) })
  const documents = pipelineOn(store.collection(db, name).find(documentOf(command['filter'])), stages)
  const batchSize = batchSizeOf(command['batchSize'], 101)
  return await cursors.first(`${db}.${name}`, documents, batchSize, command['singleBatch'] === true)
}

async function aggregate(context: CommandContext): Promise<Document> {
  const { store, cursors, db, command } = context
  const name = command['aggregate'] === 1 ? undefined : text(command['aggregate'])
  const [first, ...rest] = listOf(command['pipeline'])
  const batchSize = batchSizeOf(documentOf(command['cursor'])['batchSize'], 101)
  const watched = first?.['$changeStream'] as Document | undefined
  if (watched !== undefined) return await cursors.watch(db, name, watched['resumeAfter'] ?? watched['startAfter'])
  const last = rest.at(-1) ?? first
  const out = last?.['$out'] as string | undefined
  const pipeline = [first, ...rest].filter((stage) => stage !== undefined && !('$out' in stage)) as Document[]
  const documents =
    name === undefined
      ? pipelineOn([], pipeline)
      : store.collection(db, name).aggregate(pipeline, (other) => store.collection(db, other).find({}))
  if (out === undefined) return await cursors.first(`${db}.${name ?? '$cmd.aggregate'}`, documents, batchSize, false)
  const target = toWrite(context, out)
  target.remove({}, true)
  for (const document of documents) target.insert(document)
  return await cursors.first(`${db}.${out}`, [], batchSize, false)
}

/** Commands on data. What a real server does beyond them is not here: this one exists to be connected to. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  insert: (context) => {
    const collection = toWrite(context, context.command['insert'])
    const { documents, ordered } = context.command
    return replyOf(
      runBatch(listOf(documents), ordered !== false, (document) => {
        collection.insert(document)
        return 1
      }),
    )
  },
  update: (context) => {
    const collection = toWrite(context, context.command['update'])
    const upserted: Document[] = []
    let nModified = 0
    const result = runBatch(listOf(context.command['updates']), context.command['ordered'] !== false, (each, index) => {
      const { q, u, multi, upsert, arrayFilters } = each
      const done = collection.update(documentOf(q), u as Document, {
        many: multi === true,
        upsert: upsert === true,
        arrayFilters: listOf(arrayFilters),
      })
      nModified += done.after.filter((after, at) => JSON.stringify(after) !== JSON.stringify(done.before[at])).length
      if (done.upserted !== undefined) upserted.push({ index, _id: done.upserted['_id'] as unknown })
      return done.after.length + (done.upserted === undefined ? 0 : 1)
    })
    return { ...replyOf(result), nModified, ...(upserted.length > 0 ? { upserted } : {}) }
  },
  delete: (context) => {
    const collection = toWrite(context, context.command['delete'])
    const result = runBatch(
      listOf(context.command['deletes']),
      context.command['ordered'] !== false,
      ({ q, limit }) => {
        return collection.remove(documentOf(q), limit === 0).length
      },
    )
    return replyOf(result)
  },
  findAndModify,
  findandmodify: findAndModify,
  find,
  aggregate,
  getMore: async ({ cursors, command }) =>
    await cursors.more(
      command['getMore'],
      batchSizeOf(command['batchSize'], 1_000),
      command['maxTimeMS'] as number | undefined,
    ),
  killCursors: ({ cursors, command }) => cursors.kill(command['cursors'] as unknown[]),
  count: ({ store, db, command }) => ({
    n: store.collection(db, text(command['count'])).find(documentOf(command['query'])).length,
  }),
  distinct: ({ store, db, command }) => {
    const field = text(command['key'])
    const documents = store.collection(db, text(command['distinct'])).find(documentOf(command['query']))
    return { values: [...new Set(documents.map((document) => document[field] as unknown))] }
  },
  create: (context) => {
    toWrite(context, context.command['create'])
    return {}
  },
  drop: ({ store, db, command }) => {
    if (!store.drop(db, text(command['drop']))) throw new CommandError(26, 'NamespaceNotFound', 'ns not found')
    return {}
  },
  dropDatabase: ({ store, db }) => {
    store.dropDatabase(db)
    return { dropped: db }
  },
  listDatabases: ({ store }) => ({
    databases: store.databases().map((name) => ({ name, sizeOnDisk: 0, empty: false })),
    totalSize: 0,
  }),
  listCollections: async ({ store, cursors, db }) =>
    await cursors.first(
      `${db}.$cmd.listCollections`,
      store.collections(db).map((name) => ({ name, type: 'collection', options: {}, info: { readOnly: false } })),
      1_000,
      true,
    ),
  createIndexes: (context) => {
    const collection = toWrite(context, context.command['createIndexes'])
    for (const { name, key, unique } of listOf(context.command['indexes']))
      collection.addIndex({ name: text(name), key: documentOf(key), unique: unique === true })
    return { numIndexesAfter: collection.indexes.length }
  },
  dropIndexes: (context) => {
    toWrite(context, context.command['dropIndexes']).dropIndex(text(context.command['index']))
    return {}
  },
  listIndexes: async ({ store, cursors, db, command }) => {
    const name = text(command['listIndexes'])
    const indexes = store.collection(db, name).indexes.map((index) => ({ v: 2, ...index }))
    return await cursors.first(`${db}.${name}`, indexes, 1_000, true)
  },
  commitTransaction: ({ transactions, command }) => {
    transactions.end(command, 'commit')
    return {}
  },
  abortTransaction: ({ transactions, command }) => {
    transactions.end(command, 'abort')
    return {}
  },
}
