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
 * A list that follows what is shown of an entity; only what looks different is made and placed
 * anew, and all else stays the object that it was.
 *
 * compare: its order, total.
 */
export function sortedRows<Item extends RowState>(
  itemOf: (row: Row, state: RowState) => Item,
  compare: (a: Item, b: Item) => number,
): (change: ViewChange) => readonly Item[] {
  let items: readonly Item[] = []
  const itemsById = new Map<string, Item>()
  const made = ({ row, isPending }: ShownRow): Item => itemOf(row, { id: row.id, isPending })
  return ({ rows, changed }) => {
    if (changed === "all") {
      itemsById.clear()
      for (const [id, shown] of rows) itemsById.set(id, made(shown))
      items = [...itemsById.values()].sort(compare)
      return items
    }
    let next: Item[] | null = null
    for (const id of changed) {
      const old = itemsById.get(id)
      const shown = rows.get(id)
      const item = shown === undefined ? undefined : made(shown)
      if (looksTheSame(old, item)) continue
      next ??= [...items]
      if (old !== undefined) next.splice(placeOf(old, next, compare), 1)
      if (item === undefined) {
        itemsById.delete(id)
        continue
      }
      itemsById.set(id, item)
      next.splice(placeOf(item, next, compare), 0, item)
    }
    if (next !== null) items = next
    return items
  }
}

function looksTheSame<Item extends RowState>(a: Item | undefined, b: Item | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (Object.keys(b) as (keyof Item)[]).every((name) => Object.is(a[name], b[name]))
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
