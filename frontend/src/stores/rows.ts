// Rows of one entity as a list that is kept sorted, for a store.

import type { Json } from "../sync/core/messages"
import type { Row } from "../sync/core/change"
import type { ShownRow, ViewChange } from "../services/data/view"

/** What every row has beside its fields. */
export interface RowState {
  readonly id: string
  readonly isPending: boolean
}

/**
 * A list that follows what is shown of an entity; only what changed is made and placed anew.
 *
 * compare: its order, total.
 */
export function sortedRows<Item extends RowState>(
  itemOf: (row: Row, state: RowState) => Item,
  compare: (a: Item, b: Item) => number,
): (change: ViewChange) => readonly Item[] {
  let items: readonly Item[] = []
  const itemsById = new Map<string, Item>()
  const made = ({ row, isPending }: ShownRow): Item => {
    const item = itemOf(row, { id: row.id, isPending })
    itemsById.set(row.id, item)
    return item
  }
  return ({ rows, changed }) => {
    if (changed === "all") {
      itemsById.clear()
      items = [...rows.values()].map(made).sort(compare)
      return items
    }
    const next = [...items]
    for (const id of changed) {
      const old = itemsById.get(id)
      if (old !== undefined) next.splice(placeOf(old, next, compare), 1)
      const shown = rows.get(id)
      if (shown === undefined) {
        itemsById.delete(id)
        continue
      }
      const item = made(shown)
      next.splice(placeOf(item, next, compare), 0, item)
    }
    items = next
    return items
  }
}

/** Where an item stands in a sorted list, or would: by halving, for one of thousands. */
function placeOf<Item>(
  item: Item,
  sorted: readonly Item[],
  compare: (a: Item, b: Item) => number,
): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    const other = sorted[middle]
    if (other !== undefined && compare(other, item) < 0) from = middle + 1
    else to = middle
  }
  return from
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

/** By sort order, then name, then id: the same order on every device. */
export function byOrder(
  a: { readonly sortOrder: number; readonly name: string; readonly id: string },
  b: { readonly sortOrder: number; readonly name: string; readonly id: string },
): number {
  return a.sortOrder - b.sortOrder || byName(a, b)
}

/** By name, then id. */
export function byName(
  a: { readonly name: string; readonly id: string },
  b: { readonly name: string; readonly id: string },
): number {
  return collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1)
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
