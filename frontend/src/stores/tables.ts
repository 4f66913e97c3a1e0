// What a store needs of a synced table: its rows as a list that follows the household that is
// open, and what people do to them.

import { type ShallowRef, shallowRef } from "vue"

import type { ViewChange } from "../services/data/view"
import { services } from "../services/ports"
import type { Row } from "../sync/core/change"
import type { Json, Shown } from "../types"
import { type RowState, sortedRows } from "./rows"

type Watch = (entity: string, listener: (change: ViewChange) => void) => Promise<void>

interface Table {
  readonly begin: () => void
  readonly follow: (change: ViewChange) => void
}

const tables = new Map<string, Table>()
let watching: Watch | null = null

/** The rows of an entity, sorted. itemOf: a row as components see it. compare: a total order. */
export function rowsOf<Item extends RowState>(
  entity: string,
  itemOf: (row: Row, state: RowState) => Item,
  compare: (a: Item, b: Item) => number,
): ShallowRef<readonly Item[]> {
  const items = shallowRef<readonly Item[]>([])
  let next = sortedRows(itemOf, compare)
  const table: Table = {
    begin: () => {
      items.value = []
      next = sortedRows(itemOf, compare)
    },
    follow: (change) => {
      items.value = next(change)
    },
  }
  tables.set(entity, table)
  // A store that is made later than the household was opened.
  if (watching !== null) void watching(entity, table.follow)
  return items
}

/** What people do to the rows of an entity. All of these throw Trouble; then nothing is stored. */
export function editsOf<Fields extends object>(entity: string) {
  const edits = () => services().edits
  return {
    create: (fields: Partial<Fields>) => edits().create(entity, valuesOf(fields)),
    edit: (id: string, fields: Partial<Fields>, shown?: Shown) =>
      edits().edit(entity, id, valuesOf(fields), shown),
    remove: (id: string) => edits().remove(entity, id),
    restore: (id: string) => edits().restore(entity, id),
    shownOf: (id: string) => edits().shownOf(entity, id),
  }
}

/** Only what is there: a field that is undefined is left as it is. */
function valuesOf(fields: object): Readonly<Record<string, Json>> {
  const values = Object.entries(fields) as [string, Json | undefined][]
  return Object.fromEntries(
    values.filter((each): each is [string, Json] => each[1] !== undefined),
  )
}

/** Another household is open (null: none): all lists begin anew. */
export async function followTables(watch: Watch | null): Promise<void> {
  watching = watch
  for (const [entity, table] of tables) {
    table.begin()
    if (watch !== null) await watch(entity, table.follow)
  }
}
