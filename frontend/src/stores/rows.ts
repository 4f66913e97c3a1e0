// Rows of one entity as a list that is kept sorted, for a store.

import type { Json } from "../sync/core/messages"
import { msOf } from "../sync/core/clock"
import { type Row, newestStamp } from "../sync/core/change"
import type { ShownRow, ViewChange } from "../services/data/view"

/** What every row has beside its fields. */
export interface RowState {
  readonly id: string
  readonly updatedAtMs: number
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
  const toItem = ({ row, isPending }: ShownRow) =>
    itemOf(row, { id: row.id, isPending, updatedAtMs: updatedAtMs(row) })
  return ({ rows, changed }) => {
    const ids = changed === "all" ? rows.keys() : changed
    const fresh: Item[] = []
    for (const id of ids) {
      const shown = rows.get(id)
      if (shown !== undefined) fresh.push(toItem(shown))
    }
    fresh.sort(compare)
    const others = changed === "all" ? [] : items.filter((item) => !changed.has(item.id))
    items = others.length === 0 ? fresh : interleaved(others, fresh, compare)
    return items
  }
}

/** Two sorted lists as one. */
function interleaved<Item>(
  a: readonly Item[],
  b: readonly Item[],
  compare: (a: Item, b: Item) => number,
): readonly Item[] {
  const both: Item[] = []
  let n = 0
  for (const item of a) {
    for (let other = b[n]; other !== undefined && compare(other, item) < 0; other = b[++n]) {
      both.push(other)
    }
    both.push(item)
  }
  return [...both, ...b.slice(n)]
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
