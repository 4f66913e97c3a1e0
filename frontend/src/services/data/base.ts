// The base (rows as the server last decided them) and the pages of an unfinished walk. All of
// these run inside a transaction.

import { EXISTS, type Row, isHere, newestStamp, stampAt, valueAt } from "../../sync/core/change"
import { isSame, merge } from "../../sync/core/merge"
import type { WireRow } from "../../sync/core/messages"
import {
  type Tables,
  type StoredRow,
  inChunks,
  rowOf,
  stored,
  storedWire,
  withField,
} from "./database"
import { putHeal, healRowAt } from "./heal"

type Id = [string, string]

const idOf = ({ entity, id }: StoredRow): Id => [entity, id]

/**
 * Merge rows of the server into the base. Returns how many of them are new here.
 *
 * By stamp: until a restore is noticed, this device may be the only one that still has the newer
 * value. But see `decided`; where an ack or a walk has written over a tombstone, the row counts as
 * one, as soon as a page has been read (head) later than that.
 */
export async function takeIntoBase(
  db: Tables,
  wires: readonly (WireRow | StoredRow)[],
  head: number,
): Promise<readonly StoredRow[]> {
  const told = [...new Map(wires.map((wire) => [`${wire.entity}/${wire.id}`, wire])).values()]
  const bases = await db.base.bulkGet(told.map(({ entity, id }): Id => [entity, id]))
  const changed: StoredRow[] = []
  for (const [n, wire] of told.entries()) {
    const next = afterPage(bases[n], storedWire(wire), head)
    if (next !== null) changed.push(next)
  }
  await db.base.bulkPut(changed)
  return changed
}

/** The base row after a page has told it; null if that is nothing new. */
function afterPage(base: StoredRow | undefined, told: StoredRow, head: number): StoredRow | null {
  // A row that was only kept is in the household again, just as it is told.
  if (base === undefined || base.kept === 1) return told
  const { revivedAt = 0 } = base
  if (revivedAt > 0 && revivedAt <= head) return told
  const row = decided(rowOf(base), rowOf(told))
  if (isSame(rowOf(base), row)) return null
  return revivedAt > 0 ? { ...stored(row), revivedAt } : stored(row)
}

/**
 * The base after the server has told a row: newer stamps win, and at equal ones its word.
 *
 * (A value that this device had queued in another form than the server stored it would otherwise
 * stay different here for ever.) A told row is whole: where this device knows a tombstone and the
 * server a newer existence, the row may have been compacted and made anew with less in it, or
 * with older values; then nothing of the tombstone remains.
 */
function decided(base: Row, told: Row): Row {
  if (!isHere(base) && stampAt(told.stamps, EXISTS) > stampAt(base.stamps, EXISTS)) return told
  let row = base
  for (const [name, stamp] of Object.entries(told.stamps)) {
    if (stamp >= stampAt(row.stamps, name)) {
      row = withField(row, name, valueAt(told.fields, name), stamp)
    }
  }
  return row
}

/** Stage a page. A row that comes twice in a walk is newer the second time. */
export async function stage(db: Tables, rows: readonly WireRow[]): Promise<void> {
  await db.staging.bulkPut(rows.map(storedWire))
}

/**
 * Where the pages of a walk before have told a tombstone, and this one (of this head) a newer
 * existence: the tombstone counts as in `decided`, though nobody was shown it. Staged over, it
 * would be forgotten, and what it has in common with the base would remain.
 */
export async function noteMadeAnew(
  db: Tables,
  rows: readonly WireRow[],
  head: number,
): Promise<void> {
  if ((await db.base.limit(1).count()) === 0) return // a first load
  const told = rows.map((wire) => rowOf(storedWire(wire)))
  const staged = await db.staging.bulkGet(told.map(({ entity, id }): Id => [entity, id]))
  const anew = told.filter(({ stamps }, n) => {
    const before = staged[n] === undefined ? null : rowOf(staged[n])
    if (before === null || isHere(before)) return false
    return stampAt(stamps, EXISTS) > stampAt(before.stamps, EXISTS)
  })
  if (anew.length === 0) return
  const bases = await db.base.bulkGet(anew.map(({ entity, id }): Id => [entity, id]))
  await db.base.bulkPut(
    bases
      .filter((base) => base !== undefined)
      .map((base) => ((base.revivedAt ?? 0) > 0 ? base : { ...base, revivedAt: head })),
  )
}

/** The whole walk becomes part of the base. head: when its last page was read. */
export async function mergeStaging(db: Tables, head: number): Promise<void> {
  for await (const rows of inChunks(db.staging, idOf)) await takeIntoBase(db, rows, head)
}

/**
 * After a restore: every base row that is newer somewhere than the staged snapshot goes to the
 * heal list. Kept rows, too: what was compacted is older than any horizon that would take it
 * back.
 */
export async function noteWhatIsMissing(
  db: Tables,
  isReadOnly: (entity: string) => boolean,
): Promise<void> {
  for await (const bases of inChunks(db.base, idOf)) {
    const staged = await db.staging.bulkGet(bases.map(idOf))
    for (const [n, each] of bases.entries()) {
      if (isReadOnly(each.entity)) continue
      const snapshot = staged[n] === undefined ? null : rowOf(staged[n])
      const merged = merge(snapshot, withExistence(rowOf(each)))
      if (isSame(snapshot, merged)) continue
      await putHeal(db, merge(await healRowAt(db, each.entity, each.id), merged))
    }
  }
}

/**
 * Of a row that was compacted and deleted once more the snapshot holds the bare fact. An edit of it
 * that waits here is to bring it back whole: what else it held goes first, as a row to be healed.
 */
export async function completeBareRows(db: Tables): Promise<void> {
  const spokenOf = (await db.outbox.orderBy("[entity+rowId]").uniqueKeys()) as unknown as Id[]
  const staged = await db.staging.bulkGet(spokenOf)
  for (const [n, each] of (await db.base.bulkGet(spokenOf)).entries()) {
    const snapshot = staged[n]
    if (each === undefined || snapshot === undefined) continue
    const old = rowOf(each)
    let row = rowOf(snapshot)
    const lacking = Object.entries(old.stamps).filter(([name]) => !Object.hasOwn(row.stamps, name))
    if (lacking.length === 0) continue
    for (const [name, stamp] of lacking) row = withField(row, name, valueAt(old.fields, name), stamp)
    await putHeal(db, merge(await healRowAt(db, row.entity, row.id), row))
  }
}

/** Of some rows only our own edits are known here; each of them wrote "here". */
function withExistence(row: Row): Row {
  if (Object.hasOwn(row.stamps, EXISTS)) return row
  return withField(row, EXISTS, true, newestStamp(row))
}

/** The snapshot is the base now. Rows with entries of ours that it lacks are kept. */
export async function replaceBaseByStaging(db: Tables): Promise<void> {
  const spokenOf = (await db.outbox.orderBy("[entity+rowId]").uniqueKeys()) as unknown as Id[]
  const kept = await db.base.bulkGet(spokenOf)
  await db.base.clear()
  await db.base.bulkPut(
    kept
      .filter((row) => row !== undefined)
      .map((row): StoredRow => ({ ...row, kept: 1, revivedAt: 0 })),
  )
  for await (const rows of inChunks(db.staging, idOf)) await db.base.bulkPut(rows)
}

/** All rows of an entity in the base, some at a time. */
export async function* baseRows(
  db: Tables,
  entity: string,
  size = 1_000,
): AsyncGenerator<readonly StoredRow[]> {
  let after: Id | null = null
  for (;;) {
    const range = after ?? [entity, ""]
    const chunk: StoredRow[] = await db.base
      .where(":id")
      .between(range as never, [entity, []] as never, after === null, false)
      .limit(size)
      .toArray()
    if (chunk.length > 0) yield chunk
    const last = chunk.at(-1)
    if (last === undefined || chunk.length < size) return
    after = idOf(last)
  }
}
