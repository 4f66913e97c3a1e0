// The heal list: whole rows that a restored server lacks, on their way to it. All of these run
// inside a transaction.
//
// What the server has taken stays until a page has told it: until then this device may be the only
// one that could give it to a server that is restored once more.

import type { Row } from "../../sync/core/change"
import { merge } from "../../sync/core/merge"
import { type HealRow, type Key, type Tables, rowOf, stored } from "./database"

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
  await dropHeal(db, row.entity, row.id, isParked)
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

/** Take a row off the list. */
export function dropHeal(db: Tables, entity: string, id: string, isParked: 0 | 1 = 0) {
  return db.heal.where("[entity+id+isParked]").equals([entity, id, isParked]).delete()
}

/** The server has taken this; a page that reaches `head` tells what became of it. */
export async function putHealed(db: Tables, row: Row, head: number): Promise<void> {
  await dropHeal(db, row.entity, row.id)
  await db.heal.add({ ...stored(row), isParked: 0, code: "", message: "", healedAt: head })
}

/** What pages have told up to `readSeq` needs no keeping. Returns the rows. */
export async function deleteHealed(db: Tables, readSeq: number): Promise<readonly Key[]> {
  const told = (await healRows(db).toArray()).filter(
    ({ healedAt }) => healedAt !== undefined && healedAt <= readSeq,
  )
  await db.heal.bulkDelete(told.map(({ version }) => version))
  return told.map(({ entity, id }): Key => [entity, id])
}

/** The server was restored once more: what it had taken is to be sent again. */
export async function healAgain(db: Tables): Promise<void> {
  const healed = (await healRows(db).toArray()).filter((each) => !isWaiting(each))
  await db.heal.bulkPut(healed.map((each) => ({ ...each, healedAt: undefined })))
}

const healRows = (db: Tables) => db.heal.where("isParked").equals(0)
const isWaiting = ({ healedAt }: HealRow) => healedAt === undefined

/** Those that are to be sent. */
export function waitingRows(db: Tables, limit: number): Promise<HealRow[]> {
  return healRows(db).filter(isWaiting).limit(limit).toArray()
}

export function parkedRows(db: Tables): Promise<HealRow[]> {
  return db.heal.where("isParked").equals(1).toArray()
}

export async function hasHealRows(db: Tables): Promise<boolean> {
  return (await waitingRows(db, 1)).length > 0
}

/** The server has learned something: parked entries and rows are sent again. True: there are rows among them. */
export async function openParked(db: Tables): Promise<boolean> {
  const entries = await entriesIn(db, "parked")
  await db.outbox.bulkPut(
    entries.map((entry) => ({ ...entry, state: "open", code: "", field: "", message: "" })),
  )
  const rows = await parkedRows(db)
  for (const heal of rows) {
    const waiting = await healRowAt(db, heal.entity, heal.id)
    await putHeal(db, merge(waiting, rowOf(heal)))
    await db.heal.delete(heal.version)
  }
  return rows.length > 0
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
