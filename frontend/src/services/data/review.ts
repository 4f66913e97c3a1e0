// What needs a person: refusals, conflicts, and what the server does not know yet.

import { EXISTS, type Fields, type Row, isHere, stampAt, valueAt } from "../../sync/core/change"
import { nodeOf } from "../../sync/core/clock"
import type { Json } from "../../sync/core/messages"
import type { Entry } from "../../sync/core/outbox"
import { trouble } from "../errors"
import { checked } from "./checking"
import { type Tables, keyText } from "./database"
import { editState, queue } from "./editing"
import {
  type Ground,
  type Writing,
  entitiesOf,
  fieldsOf,
  ownNodes,
  shownRow,
  stateOf,
  statesOf,
  write,
} from "./ground"
import { dropHeal, entriesIn, releaseKept } from "./heal"
import { conflictRows } from "./hearing"
import { takeNewIdentity } from "./identity"
import type { Meta } from "./notes"

// --- refusals ----------------------------------------------------------------------------------------

/** Give up a refused or parked change; what the server decided shows. */
export function discard(ground: Ground, local: number): Promise<void> {
  return write(ground, async (writing) => {
    const { db } = writing
    const entry = await undecided(db, local)
    await db.outbox.delete(local)
    await releaseKept(db)
    writing.touch([entry.entity, entry.rowId])
  })
}

/**
 * Give up all that a viewer has made and may not send.
 *
 * What has a number may have reached the server before its answer was lost: the numbers stay those
 * of a device that is no more, and this one begins anew. Throws Trouble if its person may write.
 */
export function discardUnsendable(ground: Ground): Promise<void> {
  return write(ground, async (writing) => {
    const { db, meta } = writing
    if (meta.role !== "viewer") throw trouble("failed", "These changes are going to be sent.")
    const entries = [...(await entriesIn(db, "open")), ...(await entriesIn(db, "healing"))]
    await db.outbox.bulkDelete(entries.map(({ local }) => local))
    for (const { state, entity, rowId } of entries) {
      if (state === "healing") await dropHeal(db, entity, rowId)
    }
    if (entries.some(({ number }) => number !== null)) await takeNewIdentity(ground, writing)
    await releaseKept(db)
    for (const { entity, rowId } of entries) writing.touch([entity, rowId])
  })
}

/**
 * Queue a refused change anew, with other values for some of its fields.
 *
 * A refused create takes what was typed after it along. A row that the server does not have any
 * more is brought back whole. Throws Trouble; then the refused change stays as it is.
 */
export function editAgain(ground: Ground, local: number, fields: Fields): Promise<void> {
  return write(ground, async (writing) => {
    const { db } = writing
    const entry = await undecided(db, local)
    const state = await stateOf(db, [entry.entity, entry.rowId])
    const row = shownRow(state)
    const followers = entry.kind === "create" ? await followersOf(db, entry) : []
    // Not "what is shown now": its person may not have looked since.
    const { seen } = entry
    const values: Record<string, Json> = { ...entry.fields }
    for (const each of followers) Object.assign(values, each.fields)
    Object.assign(values, fields)
    await db.outbox.bulkDelete([local, ...followers.map((each) => each.local)])
    const gone = new Set([local, ...followers.map((each) => each.local)])
    state.entries = state.entries.filter((each) => !gone.has(each.local))
    const entities = entitiesOf(ground)
    if (entry.kind === "delete") {
      if (isHere(row)) await queue(ground, writing, state, "delete", {}, { seen })
    } else if (isHere(row)) {
      const known = checked(entities, entry.entity, values, { isCreate: false })
      await queue(ground, writing, state, "edit", known, { seen })
    } else {
      const all = Object.entries({ ...fieldsOf(state.base), ...values })
      const whole = Object.fromEntries(all.filter(([name]) => name !== EXISTS))
      const known = checked(entities, entry.entity, whole, { isCreate: true })
      await queue(ground, writing, state, "create", known, { seen })
    }
    writing.touch([entry.entity, entry.rowId])
    await releaseKept(db)
  })
}

async function followersOf(db: Tables, entry: Entry): Promise<readonly Entry[]> {
  const own = await db.outbox
    .where("[entity+rowId]")
    .equals([entry.entity, entry.rowId])
    .sortBy("local")
  return own.filter((each) => each.state === "refused" && each.local > entry.local)
}

async function undecided(db: Tables, local: number): Promise<Entry> {
  const entry = await db.outbox.get(local)
  if (entry?.state !== "refused" && entry?.state !== "parked") {
    throw trouble("row_missing", "There is no such refused change on this device.")
  }
  return entry
}

// --- conflicts ---------------------------------------------------------------------------------------

/**
 * A value that was overruled by one whose author had not seen it.
 *
 * isMine: the losing value was typed on this device, or by this person on another one.
 */
export interface OpenConflict {
  readonly id: string
  readonly entity: string
  readonly rowId: string
  readonly field: string
  readonly winningValue: Json
  readonly losingValue: Json
  readonly winningUser: string | null
  readonly atMs: number
  readonly isMine: boolean
  readonly row: Row
}

/** Those whose winning value still stands and that nobody has dismissed here, oldest first. */
export async function openConflicts(db: Tables, meta: Meta): Promise<readonly OpenConflict[]> {
  const dismissed = new Set(await db.dismissed.toCollection().primaryKeys())
  const told = (await conflictRows(db)).filter((row) => !dismissed.has(row.id))
  const keyOfTold = ({ fields }: Row) =>
    [textOf(fields["rowEntity"]), textOf(fields["rowId"])] as const
  const keys = new Map(told.map((row) => [keyText(keyOfTold(row)), keyOfTold(row)]))
  const states = await statesOf(db, [...keys.values()])
  const nodes = ownNodes(meta)
  const found: OpenConflict[] = []
  for (const { id, fields } of told) {
    const key = keyOfTold({ id, fields } as Row)
    const state = states.get(keyText(key))
    const row = state === undefined ? null : shownRow(state)
    const field = textOf(fields["field"])
    if (row === null || stampAt(row.stamps, field) !== fields["winningStamp"]) continue
    if (!isHere(row) && field !== EXISTS) continue // a value of a row that nobody sees
    const isDevices = nodes.has(nodeOf(textOf(fields["losingStamp"])))
    found.push({
      id,
      entity: key[0],
      rowId: key[1],
      field,
      winningValue: valueAt(fields, "winningValue"),
      losingValue: valueAt(fields, "losingValue"),
      winningUser: typeof fields["winningUser"] === "string" ? fields["winningUser"] : null,
      atMs: Number(fields["atMs"] ?? 0),
      isMine: isDevices || (meta.user !== "" && fields["losingUser"] === meta.user),
      row,
    })
  }
  return found.sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1))
}

/** Take the overruled value after all: an ordinary new change. */
export function useMine(ground: Ground, conflictId: string): Promise<void> {
  return write(ground, async (writing) => {
    const { entity, rowId, field, losingValue } = await openConflict(writing, conflictId)
    const state = await stateOf(writing.db, [entity, rowId])
    if (field !== EXISTS) {
      await editState(ground, writing, state, { [field]: losingValue }, { revives: true })
    } else if (losingValue === true) {
      await editState(ground, writing, state, {}, { revives: true })
    } else if (isHere(shownRow(state))) {
      await queue(ground, writing, state, "delete", {})
    }
  })
}

/** Leave the winning value, and say no more about it on this device. */
export function dismiss(ground: Ground, conflictId: string): Promise<void> {
  return write(ground, async (writing) => {
    const { id } = await openConflict(writing, conflictId)
    await writing.db.dismissed.put({ id })
    writing.touch(["conflict", id])
  })
}

async function openConflict({ db, meta }: Writing, id: string): Promise<OpenConflict> {
  const found = (await openConflicts(db, meta)).find((each) => each.id === id)
  if (found === undefined) throw trouble("row_missing", "There is no such open conflict here.")
  return found
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : ""
}
