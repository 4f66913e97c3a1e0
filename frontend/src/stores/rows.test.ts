import * as fc from "fast-check"
import { expect, test } from "vitest"

import type { Row } from "../sync/core/change"
import type { ShownRow } from "../services/data/view"
import { groupOf } from "./ledgerRows"
import { byOrder, sortedRows } from "./rows"

const row = (id: string, name: string, sortOrder: number): Row => ({
  entity: "account_group",
  id,
  fields: { name, sortOrder, exists: true },
  stamps: { name: `00000000000${sortOrder + 1}-0000-00000000000000aa` },
})

const edits = fc.array(
  fc.record({
    id: fc.constantFrom("a", "b", "c", "d", "e"),
    name: fc.constantFrom("Giro", "giro", "Bar"),
    sortOrder: fc.nat({ max: 3 }),
    isGone: fc.boolean(),
  }),
)

test("a list that follows changes is the one that would be made anew, and stays where none is", () => {
  fc.assert(
    fc.property(fc.array(edits), (batches) => {
      const rows = new Map<string, ShownRow>()
      const follow = sortedRows(groupOf, byOrder)
      for (const batch of batches) {
        for (const { id, name, sortOrder, isGone } of batch) {
          if (isGone) rows.delete(id)
          else rows.set(id, { row: row(id, name, sortOrder), isPending: false })
        }
        const changed = new Set(batch.map(({ id }) => id))
        const anew = sortedRows(groupOf, byOrder)({ rows, changed: "all" })
        const shown = follow({ rows, changed })
        expect(shown).toEqual(anew)
        expect(follow({ rows, changed: new Set(["a", "b", "c", "d", "e"]) })).toBe(shown)
      }
    }),
  )
})

test("a row tells whether the server has it", () => {
  const rows = new Map([["a", { row: row("a", "Giro", 7), isPending: true }]])
  expect(sortedRows(groupOf, byOrder)({ rows, changed: "all" })).toEqual([
    { id: "a", name: "Giro", sortOrder: 7, image: "", isPending: true },
  ])
})

test("rows of equal order are sorted as people count", () => {
  const rows = new Map(
    ["Konto 10", "Konto 9", "konto 1"].map((name, n) => [
      String(n),
      { row: row(String(n), name, 0), isPending: false },
    ]),
  )
  const names = sortedRows(groupOf, byOrder)({ rows, changed: "all" }).map(({ name }) => name)
  expect(names).toEqual(["konto 1", "Konto 9", "Konto 10"])
})
