// What fast-check draws for the core: few nodes and near times, so that stamps collide.

import * as fc from "fast-check"

import { EXISTS, type Fields, type Row } from "../change"
import { COUNTER_MAX, MS_MAX, SERVER_NODE, type Stamp, stampToText } from "../clock"
import type { Json } from "../messages"

export const ROW_ID = "33333333-3333-4333-8333-333333333333"
export const NODES = [SERVER_NODE, "00000000000000aa", "00000000000000bb", "f".repeat(16)]

export const nodes = fc.constantFrom(...NODES)
export const anyNode = fc.stringMatching(/^[0-9a-f]{16}$/)

/** Any stamp there is, the borders more often than chance would. */
export const stamps: fc.Arbitrary<Stamp> = fc.record({
  ms: fc.oneof(fc.integer({ min: 0, max: MS_MAX }), fc.constantFrom(0, 1, MS_MAX - 1, MS_MAX)),
  counter: fc.oneof(
    fc.integer({ min: 0, max: COUNTER_MAX }),
    fc.constantFrom(0, COUNTER_MAX - 1, COUNTER_MAX),
  ),
  node: fc.oneof(anyNode, nodes),
})
export const stampTexts = stamps.map(stampToText)

/** Stamps that often meet: three milliseconds, two counts, four nodes. */
export const nearStamps = fc
  .record({
    ms: fc.integer({ min: 1_000, max: 1_002 }),
    counter: fc.integer({ min: 0, max: 1 }),
    node: nodes,
  })
  .map(stampToText)

/** Any moment a clock may show, also broken ones. */
export const clockTimes = fc.oneof(
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  fc.constantFrom(NaN, Infinity, -Infinity, 1.5, -0),
)

/** Canonical values: the scalars that travel. */
export const values: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom("", "a", "b", "Z", "ä", "0", "1.5", "\uff5e", "\u{1f600}"),
)

// The last four are names that a record of JavaScript has by itself, or keeps elsewhere.
export const FIELDS = ["name", "note", "balance", "sortOrder"]
export const fieldNames = fc.constantFrom(...FIELDS, "constructor", "toString", "__proto__", "10")

/** A state of the one row: any of its fields written, each with a stamp of its own. */
export const rows: fc.Arbitrary<Row> = fc
  .tuple(
    fc.uniqueArray(fc.tuple(fieldNames, values, nearStamps), { selector: ([name]) => name }),
    fc.option(fc.tuple(fc.boolean(), nearStamps)),
  )
  .map(([written, exists]) => {
    const all: [string, Json, string][] = written.map((each) => [...each])
    if (exists !== null) all.push([EXISTS, ...exists])
    return {
      entity: "account",
      id: ROW_ID,
      fields: Object.fromEntries(all.map(([name, value]) => [name, value])),
      stamps: Object.fromEntries(all.map(([name, , stamp]) => [name, stamp])),
    }
  })

/** What a change writes: some fields, and existence. */
export const written: fc.Arbitrary<Fields> = fc
  .tuple(fc.uniqueArray(fc.tuple(fieldNames, values), { selector: ([name]) => name }), fc.boolean())
  .map(([fields, isHere]) => ({ ...Object.fromEntries(fields), [EXISTS]: isHere }))
