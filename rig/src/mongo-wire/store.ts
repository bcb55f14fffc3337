import { EJSON, ObjectId, type Document } from 'bson'
import { Aggregator, Query, update as applyUpdate, updateOne } from 'mingo'
import { duplicateKey } from './errors.ts'

/** One document that changed, as a change stream tells it. */
export interface Change {
  readonly operationType: 'insert' | 'update' | 'replace' | 'delete'
  readonly db: string
  readonly collection: string
  readonly key: Document
  readonly document?: Document
}

interface Index {
  readonly name: string
  readonly key: Document
  readonly unique: boolean
}

const textOf = (value: unknown): string => EJSON.stringify(value, { relaxed: false })
const copyOf = (document: Document): Document => structuredCloneOf(document)

/** A deep copy that leaves the values of BSON alone: they do not change. */
function structuredCloneOf<T>(value: T): T {
  if (Array.isArray(value)) return value.map(structuredCloneOf) as T
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, structuredCloneOf(each)])) as T
}

/** The documents of one collection, in memory, in the order of their coming. */
export class Collection {
  readonly #db: string
  readonly #name: string
  readonly #changed: (change: Change) => void
  #documents: Document[] = []
  #indexes: Index[] = [{ name: '_id_', key: { _id: 1 }, unique: true }]

  constructor(db: string, name: string, changed: (change: Change) => void) {
    this.#db = db
    this.#name = name
    this.#changed = changed
  }

  get indexes(): readonly Index[] {
    return this.#indexes
  }

  /** What a transaction puts back when it is aborted. */
  snapshot(): () => void {
    const documents = this.#documents.map(copyOf)
    return () => {
      this.#documents = documents
    }
  }

  addIndex(index: Index): void {
    if (!this.#indexes.some(({ name }) => name === index.name)) this.#indexes = [...this.#indexes, index]
  }

  dropIndex(name: string): void {
    this.#indexes = this.#indexes.filter((index) => index.name === '_id_' || (name !== '*' && index.name !== name))
  }

  find(filter: Document): Document[] {
    const query = new Query(filter)
    return this.#documents.filter((document) => query.test(document)).map(copyOf)
  }

  aggregate(pipeline: Document[], others: (name: string) => Document[]): Document[] {
    return new Aggregator(pipeline, { collectionResolver: others }).run<Document>(this.#documents.map(copyOf))
  }

  /** @throws {CommandError} where an index allows no second one */
  insert(document: Document): void {
    const whole = { _id: (document['_id'] as unknown) ?? new ObjectId(), ...document }
    this.#checkUnique(whole)
    this.#documents.push(whole)
    this.#tell('insert', whole)
  }

  /** Updates or replaces; gives what was matched, before and after. */
  update(
    filter: Document,
    change: Document | Document[],
    { many, upsert, arrayFilters = [] }: { many: boolean; upsert: boolean; arrayFilters?: Document[] },
  ): { before: Document[]; after: Document[]; upserted: Document | undefined } {
    const query = new Query(filter)
    const found = this.#documents.filter((document) => query.test(document))
    const matched = many ? found : found.slice(0, 1)
    if (matched.length === 0 && upsert) {
      const upserted = changed({ ...equalitiesOf(filter) }, change, arrayFilters, filter, true)
      this.insert(upserted)
      return { before: [], after: [], upserted: this.#documents.at(-1) }
    }
    const before = matched.map(copyOf)
    const after = matched.map((document) => {
      const next = changed(copyOf(document), change, arrayFilters, filter, false)
      this.#checkUnique(next, document)
      this.#documents[this.#documents.indexOf(document)] = next
      if (textOf(next) !== textOf(document)) this.#tell(isReplacement(change) ? 'replace' : 'update', next)
      return next
    })
    return { before, after, upserted: undefined }
  }

  remove(filter: Document, many: boolean): Document[] {
    const query = new Query(filter)
    const found = this.#documents.filter((document) => query.test(document))
    const removed = many ? found : found.slice(0, 1)
    this.#documents = this.#documents.filter((document) => !removed.includes(document))
    for (const document of removed) this.#tell('delete', document)
    return removed
  }

  #checkUnique(document: Document, except?: Document): void {
    for (const { name, key, unique } of this.#indexes) {
      if (!unique) continue
      const keyOf = (each: Document): Document =>
        Object.fromEntries(Object.keys(key).map((field) => [field, valueAt(each, field)]))
      const own = textOf(keyOf(document))
      if (this.#documents.some((other) => other !== except && textOf(keyOf(other)) === own))
        throw duplicateKey(`${this.#db}.${this.#name}`, name, keyOf(document))
    }
  }

  #tell(operationType: Change['operationType'], document: Document): void {
    this.#changed({
      operationType,
      db: this.#db,
      collection: this.#name,
      key: { _id: document['_id'] as unknown },
      ...(operationType === 'delete' ? {} : { document: copyOf(document) }),
    })
  }
}

function valueAt(document: Document, path: string): unknown {
  return path.split('.').reduce<unknown>((value, field) => (value as Document | undefined)?.[field] ?? null, document)
}

function equalitiesOf(filter: Document): Document {
  return Object.fromEntries(
    Object.entries(filter).filter(([field, value]) => {
      const isOperator =
        typeof value === 'object' && value !== null && Object.keys(value as object).some((key) => key.startsWith('$'))
      return !field.startsWith('$') && !isOperator
    }),
  )
}

const isReplacement = (change: Document | Document[]): change is Document =>
  !Array.isArray(change) && !Object.keys(change).some((key) => key.startsWith('$'))

function changed(
  document: Document,
  change: Document | Document[],
  arrayFilters: Document[],
  filter: Document,
  isInsert: boolean,
): Document {
  if (Array.isArray(change)) {
    const documents = [document]
    updateOne(documents, {}, change as never)
    return documents[0] ?? document
  }
  if (isReplacement(change))
    return { ...(document['_id'] === undefined ? {} : { _id: document['_id'] as unknown }), ...change }
  const { $setOnInsert, ...operators } = change as { readonly $setOnInsert?: Document }
  if (isInsert && $setOnInsert !== undefined) applyUpdate(document, { $set: $setOnInsert })
  if (Object.keys(operators).length > 0) applyUpdate(document, operators as never, arrayFilters, filter as never)
  return document
}

/** All databases of the server. */
export class Store {
  readonly #databases = new Map<string, Map<string, Collection>>()
  readonly changes: Change[] = []
  #whenChanged: (() => void)[] = []

  collection(db: string, name: string): Collection {
    let collections = this.#databases.get(db)
    if (collections === undefined) this.#databases.set(db, (collections = new Map<string, Collection>()))
    let collection = collections.get(name)
    if (collection === undefined) {
      collection = new Collection(db, name, (change) => {
        this.changes.push(change)
        for (const told of this.#whenChanged.splice(0)) told()
      })
      collections.set(name, collection)
    }
    return collection
  }

  /** Calls back once, at the next change. */
  onNextChange(callback: () => void): void {
    this.#whenChanged.push(callback)
  }

  databases(): string[] {
    return [...this.#databases.keys()]
  }

  collections(db: string): string[] {
    return [...(this.#databases.get(db)?.keys() ?? [])]
  }

  drop(db: string, name: string): boolean {
    return this.#databases.get(db)?.delete(name) ?? false
  }

  dropDatabase(db: string): void {
    this.#databases.delete(db)
  }
}
