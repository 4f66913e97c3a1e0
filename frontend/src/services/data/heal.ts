// The heal list: whole rows that a restored server lacks, on their way to it. All of these run
// inside a transaction.

import type { Row } from "../../sync/core/change"
import { merge } from "../../sync/core/merge"
import { type HealRow, type Tables, rowOf, stored } from "./database"

interface Why {
  readonly isParked?: 0 | 1
  readonly code?: string
  readonly message?: string
}

/** Put a row on the list, or park it; a new version in any case. */
export async function putHeal(
  db: Tables,
  row: Row,
  { isParked = 0, code = "", message = "" }: Why = {},
): Promise<void> {
  await db.heal.where("[entity+id+isParked]").equals([row.entity, row.id, isParked]).delete()
  await db.heal.add({ ...stored(row), isParked, code, message })
}

export async function healRowAt(
  db: Tables,
  entity: string,
  id: string,
): Promise<Row | null> {
  const found = await db.heal.where("[entity+id+isParked]").equals([entity, id, 0]).first()
  return found === undefined ? null : rowOf(found)
}

export function waitingRows(db: Tables, limit: number): Promise<HealRow[]> {
  return db.heal.where("isParked").equals(0).limit(limit).toArray()
}

export function parkedRows(db: Tables): Promise<HealRow[]> {
  return db.heal.where("isParked").equals(1).toArray()
}

export async function hasHealRows(db: Tables): Promise<boolean> {
  return (await db.heal.where("isParked").equals(0).limit(1).count()) > 0
}

/** The server has learned something: parked entries and rows are sent again. */
export async function openParked(db: Tables): Promise<void> {
  const entries = await entriesIn(db, "parked")
  await db.outbox.bulkPut(
    entries.map((entry) => ({ ...entry, state: "open", code: "", field: "", message: "" })),
  )
  for (const heal of await parkedRows(db)) {
    const waiting = await healRowAt(db, heal.entity, heal.id)
    await putHeal(db, merge(waiting, rowOf(heal)))
    await db.heal.delete(heal.version)
  }
}

/** Edits that were on their way as whole rows are to be sent as changes again. */
export async function reopenHealing(db: Tables): Promise<void> {
  const entries = await entriesIn(db, "healing")
  await db.outbox.bulkPut(entries.map((entry) => ({ ...entry, state: "open" })))
}

export type EntryState = "open" | "healing" | "parked" | "refused"

/** Entries in one state, in queue order. */
export function entriesIn(db: Tables, state: EntryState, limit = Infinity) {
  const found = db.outbox.where("[state+local]").between([state, -Infinity], [state, Infinity])
  return (limit === Infinity ? found : found.limit(limit)).toArray()
}

export function countIn(db: Tables, state: EntryState): Promise<number> {
  return db.outbox.where("[state+local]").between([state, -Infinity], [state, Infinity]).count()
}

/** Drop rows that the server has no more and that no entry speaks of any more. */
export async function releaseKept(db: Tables): Promise<void> {
  const kept = await db.base.where("kept").equals(1).primaryKeys()
  for (const key of kept) {
    const entries = await db.outbox.where("[entity+rowId]").equals(key).limit(1).count()
    if (entries === 0) await db.base.delete(key)
  }
}
