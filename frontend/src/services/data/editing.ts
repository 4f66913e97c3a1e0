// What a person does: one write path, online or offline.
//
// The row (as base with the queue over it) and the queue are one thing, so an edit is one entry
// in one transaction: it is stored whole, with its stamp, or not at all.

import { type Fields, type Row, type Stamps, isHere, valueAt, writtenBy } from "../../sync/core/change"
import { tick } from "../../sync/core/clock"
import { isEqual } from "../../sync/core/merge"
import type { ChangeKind } from "../../sync/core/messages"
import { type Entry, fold, newEntry, newestOf, overlay, seenFor } from "../../sync/core/outbox"
import { trouble } from "../errors"
import { checkSize, checked } from "./checking"
import type { Key, Tables } from "./database"
import {
  type Ground,
  type RowState,
  type Writing,
  clockOf,
  correctedMs,
  entitiesOf,
  groundRow,
  shownRow,
  stateOf,
  statesOf,
  write,
} from "./ground"
import { newId } from "./world"

/** Queue a new row; returns its id. Over a tombstone's id it brings the row back. */
export function create(
  ground: Ground,
  entity: string,
  fields: Fields,
  id: string = newId(ground.world),
): Promise<string> {
  return write(ground, async (writing) => {
    const state = await stateOf(writing.db, [entity, id])
    if (isHere(shownRow(state))) throw trouble("row_exists")
    const values = checked(entitiesOf(ground), entity, fields, { isCreate: true })
    await queue(ground, writing, state, "create", values)
    return id
  })
}

export interface EditOptions {
  /** The stamps of the row when its person began to edit, if that was not now. */
  readonly shown?: Stamps | undefined
  /** A deleted row comes back with the edit. */
  readonly revives?: boolean
}

/** Queue new values of a row. Returns false if they are what the row shows already. */
export function edit(
  ground: Ground,
  entity: string,
  id: string,
  fields: Fields,
  options: EditOptions = {},
): Promise<boolean> {
  return write(ground, async (writing) => {
    const state = await stateOf(writing.db, [entity, id])
    return editState(ground, writing, state, fields, options)
  })
}

/** Edit several rows in one transaction; those that are gone meanwhile are left alone. */
export function editMany(
  ground: Ground,
  entity: string,
  edits: ReadonlyMap<string, Fields>,
): Promise<void> {
  return write(ground, async (writing) => {
    const keys = [...edits.keys()].map((id): Key => [entity, id])
    for (const state of (await statesOf(writing.db, keys)).values()) {
      const fields = edits.get(state.key[1])
      if (fields === undefined || !isHere(shownRow(state))) continue
      await editState(ground, writing, state, fields)
    }
  })
}

/** Make several rows in one transaction; returns their ids. */
export function createMany(
  ground: Ground,
  entity: string,
  rows: readonly Fields[],
): Promise<readonly string[]> {
  return write(ground, async (writing) => {
    const ids: string[] = []
    for (const fields of rows) {
      const id = newId(ground.world)
      const values = checked(entitiesOf(ground), entity, fields, { isCreate: true })
      await queue(ground, writing, newState([entity, id]), "create", values)
      ids.push(id)
    }
    return ids
  })
}

/** Queue the deletion of a row. Rows that refer to it are left as they are. */
export function remove(ground: Ground, entity: string, id: string, shown?: Stamps): Promise<void> {
  return write(ground, async (writing) => {
    const state = await stateOf(writing.db, [entity, id])
    if (!isHere(shownRow(state))) throw trouble("row_missing")
    checked(entitiesOf(ground), entity, {}, { isCreate: false })
    await queue(ground, writing, state, "delete", {}, { shown })
  })
}

// --- inside a transaction ----------------------------------------------------------------------------

export async function editState(
  ground: Ground,
  writing: Writing,
  state: RowState,
  fields: Fields,
  { shown, revives = false }: EditOptions = {},
): Promise<boolean> {
  const row = shownRow(state)
  if (row === null || !(revives || isHere(row))) throw trouble("row_missing")
  const values = checked(entitiesOf(ground), state.key[0], fields, { isCreate: false })
  const different = Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !has(row, name, value)),
  )
  if (Object.keys(different).length === 0 && isHere(row)) return false
  await queue(ground, writing, state, "edit", different, { shown })
  return true
}

/** Stamp and queue one change. seen: what the author was shown, where that is known already. */
export async function queue(
  ground: Ground,
  writing: Writing,
  state: RowState,
  kind: ChangeKind,
  fields: Fields,
  { shown, seen = {} }: { readonly shown?: Stamps | undefined; readonly seen?: Stamps } = {},
): Promise<void> {
  const { meta } = writing
  if (meta.role === "viewer") throw trouble("forbidden")
  const { key, entries } = state
  const base = groundRow(state)
  checkSize({ ...overlay(base, entries)?.fields, ...fields }, ground.limits.rowBytes)
  const nowMs = correctedMs(ground, meta)
  const clock = tick(clockOf(meta), nowMs, newestOf(base, entries))
  const written = Object.keys(writtenBy(kind, fields))
  const entry = newEntry({
    local: 0,
    entity: key[0],
    rowId: key[1],
    kind,
    stamp: clock.last,
    fields,
    seen: { ...seenFor(base, entries, written, shown ?? null), ...seen },
    madeMs: Math.max(nowMs, 0),
  })
  const folded = fold(entries, entry)
  if (folded.gone.length > 0) await writing.db.outbox.bulkDelete(folded.gone.map(({ local }) => local))
  const added = await addEntry(writing.db, folded.entry)
  const gone = new Set(folded.gone)
  state.entries = [...entries.filter((each) => !gone.has(each)), added]
  meta.clock = clock.last
  writing.isEdit = true
  writing.touch(key)
}

async function addEntry(db: Tables, entry: Entry): Promise<Entry> {
  const added: Omit<Entry, "local"> & { local?: number } = { ...entry }
  delete added.local // the database gives the next
  return { ...entry, local: await db.outbox.add(added) }
}

function newState(key: Key): RowState {
  return { key, base: null, isKept: false, isRevived: false, heal: null, entries: [], hasRefused: false }
}

function has(row: Row, name: string, value: Fields[string]): boolean {
  return Object.hasOwn(row.stamps, name) && isEqual(valueAt(row.fields, name), value)
}
