// Where a row goes when a person moves it: as few new sort orders as can be.

const STEP = 1024
const MAX = 2 ** 31 - 1

interface Ordered {
  readonly id: string
  readonly sortOrder: number
}

/**
 * The sort orders that have to change so that `id` stands in front of `beforeId` (null: last).
 *
 * rows: in the order that is shown, the moved one anywhere among them. Where there is room
 * between its new neighbours only the moved row changes; otherwise all are numbered anew.
 */
export function placed(
  rows: readonly Ordered[],
  id: string,
  beforeId: string | null,
): ReadonlyMap<string, number> {
  const moved = rows.find((row) => row.id === id)
  if (moved === undefined || beforeId === id) return new Map()
  const others = rows.filter((row) => row.id !== id)
  const found = beforeId === null ? -1 : others.findIndex((row) => row.id === beforeId)
  const place = found === -1 ? others.length : found
  const before = others[place - 1]?.sortOrder
  const after = others[place]?.sortOrder
  const order = between(before, after)
  if (order !== null) return new Map(order === moved.sortOrder ? [] : [[id, order]])
  const all = [...others.slice(0, place), moved, ...others.slice(place)]
  const orders = all.map((row, n) => [row, n * STEP] as const)
  return new Map(orders.filter(([row, n]) => row.sortOrder !== n).map(([row, n]) => [row.id, n]))
}

/** A whole number strictly between two; null if there is none. */
function between(before: number | undefined, after: number | undefined): number | null {
  if (before === undefined) return after === undefined ? 0 : inRange(after - STEP)
  if (after === undefined) return inRange(before + STEP)
  return after - before >= 2 ? before + Math.floor((after - before) / 2) : null
}

function inRange(order: number): number | null {
  return order >= -MAX - 1 && order <= MAX ? order : null
}
