import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import {
  EXISTS,
  type Stamps,
  canonicalText,
  isHere,
  newestStamp,
  packStamps,
  stampAll,
  unpackStamps,
  writtenBy,
} from "./change"
import type { Json } from "./messages"
import { fieldNames, nearStamps, rows, values } from "./testing/arbitraries"
import { cases, title } from "./testing/vectors"
import { compareText } from "./text"

const someStamps = fc
  .uniqueArray(fc.tuple(fieldNames, nearStamps), { selector: ([name]) => name })
  .map((each): Stamps => Object.fromEntries(each))

describe("vectors", () => {
  interface Packing {
    readonly why: string
    readonly stamps: Stamps
    readonly stamp: string
    readonly exceptions: Stamps
  }
  for (const each of cases<Packing>("merges", "packing")) {
    test(`packing: ${title(each)}`, () => {
      const packed = { common: each.stamp, exceptions: each.exceptions }
      expect(packStamps(each.stamps)).toEqual(packed)
      expect(unpackStamps(each.stamps, packed)).toEqual(each.stamps)
    })
  }

  test("canonical texts and their order", () => {
    const listed = cases<{ value: Json; text: string }>("values", "ascending")
    const texts = listed.map(({ value }) => canonicalText(value))
    expect(texts).toEqual(listed.map(({ text }) => text))
    expect([...new Set(texts)].reverse().sort(compareText)).toEqual(texts)
  })
})

describe("packing", () => {
  test("is undone by unpacking", () => {
    fc.assert(
      fc.property(rows, ({ fields, stamps }) => {
        expect(Object.entries(unpackStamps(fields, packStamps(stamps))).sort()).toEqual(
          Object.entries(stamps).sort(),
        )
      }),
    )
  })

  test("takes the most frequent stamp, the greater one on a tie, whatever the order", () => {
    fc.assert(
      fc.property(someStamps, (stamps) => {
        const packed = packStamps(stamps)
        const backwards = Object.fromEntries(Object.entries(stamps).reverse())
        expect(packStamps(backwards)).toEqual(packed)
        const all = Object.values(stamps)
        const count = (stamp: string) => all.filter((each) => each === stamp).length
        for (const stamp of all) {
          expect(count(stamp)).toBeLessThanOrEqual(count(packed.common))
          if (count(stamp) === count(packed.common)) expect(stamp <= packed.common).toBe(true)
        }
        expect(Object.values(packed.exceptions)).not.toContain(packed.common)
      }),
    )
  })

  test("of nothing is nothing", () => {
    expect(packStamps({})).toEqual({ common: "", exceptions: {} })
  })
})

describe("a change", () => {
  test.each([
    ["create", true],
    ["edit", true],
    ["delete", false],
  ] as const)("%s writes existence", (kind, isHere) => {
    expect(writtenBy(kind, { name: "Giro" })).toEqual({ name: "Giro", [EXISTS]: isHere })
  })

  test("stamps all that it writes alike", () => {
    expect(stampAll(["name", "__proto__"], "s")).toEqual(
      Object.fromEntries([
        ["name", "s"],
        ["__proto__", "s"],
      ]),
    )
  })
})

describe("a row", () => {
  test("without existence is not here", () => {
    expect(isHere({ entity: "account", id: "1", fields: {}, stamps: {} })).toBe(false)
    expect(isHere(null)).toBe(false)
    expect(newestStamp(null)).toBe("")
  })
})

describe("canonical text", () => {
  test("is JSON that reads back, and the same for equal values only", () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(JSON.parse(canonicalText(a))).toEqual(a)
        expect(canonicalText(a) === canonicalText(b)).toBe(a === b)
      }),
    )
  })
})
