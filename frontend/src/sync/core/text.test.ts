import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { compareText, jsonLength, textLength, utf8Length } from "./text"

const texts = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("a", "b", "\uff5e", "\u{1f600}", "\u{1f601}", "\ud83d") }),
)
const points = (text: string) => Array.from(text, (each) => each.codePointAt(0) ?? 0)

function comparePoints(a: readonly number[], b: readonly number[]): number {
  const place = a.findIndex((point, n) => point !== b[n])
  if (place === -1) return a.length - b.length
  return (a[place] ?? 0) - (b[place] ?? -1)
}

describe("text", () => {
  test("is compared by code points, not by UTF-16 units", () => {
    expect(["\uff5e", "\u{1f600}"].sort()).toEqual(["\u{1f600}", "\uff5e"]) // JavaScript's own
    expect(compareText("\u{1f600}", "\uff5e")).toBeGreaterThan(0)
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Math.sign(comparePoints(points(a), points(b))))
      }),
    )
  })

  test("has as many characters as it has code points", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(textLength(text)).toBe(points(text).length)
      }),
    )
  })

  test("takes the bytes that it takes in UTF-8", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length)
      }),
    )
    expect(jsonLength({ note: "ü" })).toBe(13)
  })
})
