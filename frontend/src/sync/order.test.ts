import * as fc from "fast-check"
import { expect, test } from "vitest"

import { placed } from "./order"

const rowsOf = (...orders: number[]) =>
  orders.map((sortOrder, n) => ({ id: String.fromCharCode(97 + n), sortOrder }))

test("a row that moves between others changes alone while there is room", () => {
  expect(placed(rowsOf(0, 10, 20), "c", "b")).toEqual(new Map([["c", 5]]))
})

test("a row goes to the end and to the front", () => {
  expect(placed(rowsOf(0, 10, 20), "a", null)).toEqual(new Map([["a", 20 + 1024]]))
  expect(placed(rowsOf(0, 10, 20), "c", "a")).toEqual(new Map([["c", -1024]]))
})

test("where there is no room all that differ are numbered anew", () => {
  expect(placed(rowsOf(0, 0, 0), "c", "b")).toEqual(
    new Map([
      ["c", 1024],
      ["b", 2048],
    ]),
  )
})

test("a row in front of itself, or one that nobody knows, moves nothing", () => {
  expect(placed(rowsOf(0, 1), "a", "a").size).toBe(0)
  expect(placed(rowsOf(0, 1), "z", "a").size).toBe(0)
})

test("whatever the orders were, the row ends where it was put and the others keep theirs", () => {
  const orders = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 1 })
  fc.assert(
    fc.property(orders, fc.nat(), fc.nat(), (unsorted, from, to) => {
      const rows = unsorted
        .sort((a, b) => a - b)
        .map((sortOrder, n) => ({ id: String(n).padStart(3, "0"), sortOrder }))
      const id = rows[from % rows.length]?.id ?? ""
      const before = rows[to % (rows.length + 1)]?.id ?? null
      const changed = placed(rows, id, before)
      for (const order of changed.values()) {
        expect(Number.isInteger(order) && order >= -(2 ** 31) && order < 2 ** 31).toBe(true)
      }
      if (before === id) return
      const after = rows
        .map((row) => ({ ...row, sortOrder: changed.get(row.id) ?? row.sortOrder }))
        .sort((a, b) => a.sortOrder - b.sortOrder || Number(a.id > b.id) - 0.5)
      const others = rows.filter((row) => row.id !== id).map((row) => row.id)
      if (changed.size === 0) return // it stood there already, among equals
      expect(after.filter((row) => row.id !== id).map((row) => row.id)).toEqual(others)
      const place = after.findIndex((row) => row.id === id)
      expect(after[place + 1]?.id ?? null).toBe(before)
    }),
  )
})
