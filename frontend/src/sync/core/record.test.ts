import { expect, test } from "vitest"

import { at, put } from "./record"

test("a name that every record has by itself is found only where somebody has put it", () => {
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
    const record: Record<string, number> = {}
    expect(at(record, name)).toBeUndefined()
    put(record, name, 7)
    expect(at(record, name)).toBe(7)
    expect(Object.keys(record)).toEqual([name])
    expect(at({ ...record }, name)).toBe(7)
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
  }
})
