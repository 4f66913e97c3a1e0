// One IndexedDB database for each (person, household): its tables, and its errors in words.
//
// base      each row as the server last decided it. kept: the server has it no more, but an edit
//           of it is undecided. revivedAt: an ack has written over its tombstone, or a
//           walk that goes on; the newest head that such an ack or page named; absent or 0: a
//           page has told it since
// staging   the pages of a walk that is not complete
// heal      whole rows that a restored server lacks, to be sent as `rows`; a new version with
//           every write, so that an ack settles only what it answers. isParked: refused so far.
//           healedAt: the head at which the server has taken it; absent: it is to be sent
// outbox    the queue of this device's own changes
// notes     "device": the identity, the clock, the cursor (notes.ts); "entities": as last told
// dismissed conflicts that the person does not want to see any more

import Dexie, { type Table } from "dexie"

import type { Fields, Row, Stamps } from "../../sync/core/change"
import { packStamps, unpackStamps } from "../../sync/core/change"
import { put } from "../../sync/core/record"
import type { WireRow } from "../../sync/core/messages"
import type { Entry } from "../../sync/core/outbox"
import { Trouble, trouble } from "../errors"

export type Key = readonly [entity: string, id: string]

/** stamp: of each field that stamps does not name. */
export interface StoredRow {
  readonly entity: string
  readonly id: string
  readonly fields: Fields
  readonly stamp: string
  readonly stamps?: Stamps
  readonly kept?: 1
  readonly revivedAt?: number
}

export interface HealRow extends StoredRow {
  readonly version: number
  readonly isParked: 0 | 1
  readonly healedAt?: number | undefined
  readonly code: string
  readonly message: string
}

export interface Note {
  readonly key: string
  readonly value: unknown
}

/** Never change a version that was released: a phone may come back after a year. */
const VERSIONS: readonly Readonly<Record<string, string>>[] = [
  {
    base: "[entity+id], kept",
    staging: "[entity+id]",
    heal: "++version, &[entity+id+isParked], isParked",
    outbox: "++local, [entity+rowId], [state+local], &number, stamp",
    notes: "key",
    dismissed: "id",
  },
]

/**
 * The tables, bound to one transaction. Named in every call: Dexie's own way to find the current
 * transaction is lost behind async generators, and a lost one would silently be another.
 */
export interface Tables {
  readonly base: Table<StoredRow, [string, string]>
  readonly staging: Table<StoredRow, [string, string]>
  readonly heal: Table<HealRow, number, Omit<HealRow, "version">>
  readonly outbox: Table<Entry, number, Omit<Entry, "local">>
  readonly notes: Table<Note, string>
  readonly dismissed: Table<{ readonly id: string }, string>
}

const DEXIE_STEP = 10 // Dexie's version 1 is the browser's version 10

export class ReplicaDatabase extends Dexie {

  constructor(name: string) {
    // Strict: an edit that was shown as saved survives a power cut. Chrome's default only hands
    // it to the operating system.
    super(name, { chromeTransactionDurability: "strict", cache: "disabled" })
    VERSIONS.forEach((tables, n) => this.version(n + 1).stores(tables))
  }

  /** Open it, unless a newer version of the app has written it. Dexie would not mind. */
  async openOwn(): Promise<void> {
    await this.open()
    if (this.backendDB().version > VERSIONS.length * DEXIE_STEP) {
      throw trouble("newer_tab", "A newer version of the app has written this data.")
    }
  }

  /** One transaction over all tables. */
  async within<Result>(mode: "r" | "rw", work: (db: Tables) => Promise<Result>): Promise<Result> {
    const names = this.tables.map((table) => table.name)
    return this.transaction(mode, names, (transaction: unknown) => work(transaction as Tables))
  }
}

// --- between records and rows --------------------------------------------------------------------

export function keyText([entity, id]: Key): string {
  return `${entity}/${id}`
}

export function stored(row: Row): StoredRow {
  const { common, exceptions } = packStamps(row.stamps)
  const { entity, id, fields } = row
  const packed = { entity, id, fields, stamp: common }
  return Object.keys(exceptions).length === 0 ? packed : { ...packed, stamps: exceptions }
}

export function storedWire({ entity, id, fields, stamp, stamps }: WireRow): StoredRow {
  return stamps === undefined
    ? { entity, id, fields, stamp }
    : { entity, id, fields, stamp, stamps }
}

export function rowOf({ entity, id, fields, stamp, stamps = {} }: StoredRow): Row {
  return { entity, id, fields, stamps: unpackStamps(fields, { common: stamp, exceptions: stamps }) }
}

export function wireOf({ entity, id, fields, stamp, stamps }: StoredRow): WireRow {
  return stamps === undefined
    ? { entity, id, fields, stamp }
    : { entity, id, fields, stamp, stamps }
}

/** The same row under other names for some of its parts; for building. */
export function withField(row: Row, name: string, value: Row["fields"][string], stamp: string): Row {
  const fields = { ...row.fields }
  const stamps = { ...row.stamps }
  put(fields, name, value)
  put(stamps, name, stamp)
  return { ...row, fields, stamps }
}

/** All records of a table in the order of their keys, some at a time: no long task, no flood. */
export async function* inChunks<Record, Id>(
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what is put is not read here
  table: Table<Record, Id, any>,
  idOf: (record: Record) => Id,
  size = 500,
): AsyncGenerator<readonly Record[]> {
  let chunk = await table.orderBy(":id").limit(size).toArray()
  while (chunk.length > 0) {
    yield chunk
    const last = chunk.at(-1)
    if (last === undefined || chunk.length < size) return
    chunk = await table
      .where(":id")
      .above(idOf(last) as never)
      .limit(size)
      .toArray()
  }
}

// --- errors ----------------------------------------------------------------------------------------

/** The browser's errors in words that say what is safe and what to do. */
export function inWords(error: unknown): unknown {
  if (error instanceof Trouble || !(error instanceof Error)) return error
  const names = namesOf(error)
  if (names.has("QuotaExceededError")) {
    return trouble("storage_full", "The storage is full: this was not saved.", error)
  }
  if (names.has("VersionError") || names.has("UpgradeError")) {
    return trouble("newer_tab", "A newer version of the app has written this data.", error)
  }
  if (names.has("MissingAPIError") || names.has("SecurityError")) {
    return trouble("storage_blocked", "This browser does not let the app store anything.", error)
  }
  if (names.has("DatabaseClosedError") || names.has("NoSuchDatabaseError")) {
    return trouble("storage_gone", "The database was closed under the page.", error)
  }
  if (names.has("NotFoundError")) {
    return trouble("storage_gone", "The database was taken away under the page.", error)
  }
  if (names.has("OpenFailedError") || names.has("UnknownError") || names.has("DataError")) {
    return trouble("storage_damaged", "The database cannot be used.", error)
  }
  return error
}

/** Dexie wraps what the browser said. */
function namesOf(error: Error): ReadonlySet<string> {
  const names = new Set<string>()
  let each: unknown = error
  for (let depth = 0; each instanceof Error && depth < 5; depth++) {
    names.add(each.name)
    const { inner, failures } = each as { inner?: unknown; failures?: unknown }
    if (Array.isArray(failures)) {
      for (const failure of failures) if (failure instanceof Error) names.add(failure.name)
    }
    each = inner ?? each.cause
  }
  return names
}
