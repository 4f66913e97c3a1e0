// Rows of one entity as a list that is kept sorted, for a store.

import type { Json } from "../sync/core/messages"
import { msOf } from "../sync/core/clock"
import { type Row, newestStamp } from "../sync/core/change"
import type { ShownRow, ViewChange } from "../services/data/view"

const FEW = 64 // so many rows are put into their places one by one

/** What every row has beside its fields. */
export interface RowState {
  readonly id: string
  readonly updatedAtMs: number
  readonly isPending: boolean
}

/** A list that follows what is shown of an entity. compare: its order, total. */
export function sortedRows<Item extends RowState>(
  itemOf: (row: Row, state: RowState) => Item,
  compare: (a: Item, b: Item) => number,
): (change: ViewChange) => readonly Item[] {
  let items: readonly Item[] = []
  const toItem = ({ row, isPending }: ShownRow) =>
    itemOf(row, { id: row.id, isPending, updatedAtMs: updatedAtMs(row) })
  return ({ rows, changed }) => {
    if (changed === "all" || changed.size > FEW) {
      items = [...rows.values()].map(toItem).sort(compare)
      return items
    }
    const next = items.filter((item) => !changed.has(item.id))
    for (const id of changed) {
      const shown = rows.get(id)
      if (shown !== undefined) insert(next, toItem(shown), compare)
    }
    items = next
    return items
  }
}

function insert<Item>(items: Item[], item: Item, compare: (a: Item, b: Item) => number): void {
  let [low, high] = [0, items.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const other = items[middle]
    if (other !== undefined && compare(other, item) < 0) low = middle + 1
    else high = middle
  }
  items.splice(low, 0, item)
}

function updatedAtMs(row: Row): number {
  const stamp = newestStamp(row)
  return stamp === "" ? 0 : msOf(stamp)
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

/** By sort order, then name, then id: the same order on every device. */
export function byOrder(
  a: { readonly sortOrder: number; readonly name: string; readonly id: string },
  b: { readonly sortOrder: number; readonly name: string; readonly id: string },
): number {
  return a.sortOrder - b.sortOrder || collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1)
}

// --- values of rows that a newer server may have written --------------------------------------------

export function text(row: Row, name: string): string {
  const value: Json | undefined = row.fields[name]
  return typeof value === "string" ? value : ""
}

export function whole(row: Row, name: string): number {
  const value = row.fields[name]
  return typeof value === "number" ? value : 0
}

export function truth(row: Row, name: string): boolean {
  return row.fields[name] === true
}
