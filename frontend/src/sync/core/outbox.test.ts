import { describe, expect, test } from "vitest"

import { EXISTS, type Row, type Stamps } from "./change"
import type { Clock } from "./clock"
import type { Result } from "./messages"
import {
  type Entry,
  type NewEntry,
  type Restamped,
  type Settled,
  cut,
  fold,
  keyOf,
  lower,
  newEntry,
  overlay,
  restampAhead,
  restampBehind,
  seenFor,
  settle,
  settledUpTo,
  sizeOf,
} from "./outbox"
import { cases, title } from "./testing/vectors"

const entriesOf = (told: readonly NewEntry[]): readonly Entry[] => told.map(newEntry)

describe("vectors: folding", () => {
  interface Folding {
    readonly why: string
    readonly entries: readonly NewEntry[]
    readonly added: NewEntry
    readonly gone: readonly number[]
    readonly entry: NewEntry
  }
  for (const each of cases<Folding>("outbox", "folding")) {
    test(title(each), () => {
      const entries = entriesOf(each.entries)
      const { gone, entry } = fold(entries, newEntry(each.added))
      expect(gone).toEqual(entries.filter(({ local }) => each.gone.includes(local)))
      expect(entry).toEqual(newEntry(each.entry))
    })
  }
})

describe("vectors: what is shown", () => {
  interface Overlay {
    readonly why: string
    readonly base: Row | null
    readonly entries: readonly NewEntry[]
    readonly row: Row | null
  }
  for (const each of cases<Overlay>("outbox", "overlays")) {
    test(title(each), () => {
      expect(overlay(each.base, entriesOf(each.entries))).toEqual(each.row)
    })
  }

  interface Seen extends Overlay {
    readonly written: readonly string[]
    readonly shown: Stamps | null
    readonly seen: Stamps
  }
  for (const each of cases<Seen>("outbox", "seen")) {
    test(title(each), () => {
      const entries = entriesOf(each.entries)
      expect(seenFor(each.base, entries, each.written, each.shown)).toEqual(each.seen)
    })
  }
})

describe("vectors: stamps of what was never sent", () => {
  interface Restamping {
    readonly why: string
    readonly entries: readonly NewEntry[]
    readonly nowMs: number
    readonly clock: Clock
    readonly stamps: Readonly<Record<string, string>>
    readonly last: string
  }
  function expectRestamped({ stamps, clock }: Restamped, each: Restamping): void {
    const byLocal = [...stamps].map(([local, stamp]) => [String(local), stamp])
    expect(Object.fromEntries(byLocal)).toEqual(each.stamps)
    expect(clock).toEqual({ ...each.clock, last: each.last })
  }

  for (const each of cases<Restamping & { floors: Stamps }>("outbox", "ahead")) {
    test(`ahead: ${title(each)}`, () => {
      const floors = Object.entries(each.floors).map(
        ([rowId, stamp]) => [keyOf({ entity: "account", rowId }), stamp] as const,
      )
      const entries = entriesOf(each.entries)
      expectRestamped(restampAhead(entries, new Map(floors), each.nowMs, each.clock), each)
    })
  }

  for (const each of cases<Restamping & { own: string; effective: string }>("outbox", "behind")) {
    test(`behind: ${title(each)}`, () => {
      const entries = entriesOf(each.entries)
      expectRestamped(restampBehind(entries, each.own, each.effective, each.nowMs, each.clock), each)
    })
  }

  for (const each of cases<Restamping>("outbox", "lowered")) {
    test(`a clock: ${title(each)}`, () => {
      expect(lower(each.clock, each.nowMs)).toEqual({ ...each.clock, last: each.last })
    })
  }
})

describe("vectors: sending", () => {
  for (const each of cases<{ why: string; entry: NewEntry; bytes: number }>("outbox", "sizes")) {
    test(`size: ${title(each)}`, () => {
      expect(sizeOf(newEntry(each.entry))).toBe(each.bytes)
    })
  }

  interface Cut {
    readonly why: string
    readonly bytes: readonly number[]
    readonly maxRows: number
    readonly maxBytes: number
    readonly count: number
  }
  for (const each of cases<Cut>("outbox", "cuts")) {
    test(`cut: ${title(each)}`, () => {
      const batch = cut(each.bytes, (bytes) => bytes, each.maxRows, each.maxBytes)
      expect(batch).toEqual(each.bytes.slice(0, each.count))
    })
  }

  interface Numbers {
    readonly openNumbers: readonly number[]
    readonly nextNumber: number
    readonly upTo: number
  }
  test.each(cases<Numbers>("outbox", "settledUpTo"))(
    "of open $openNumbers before $nextNumber, all is settled up to $upTo",
    ({ openNumbers, nextNumber, upTo }) => {
      expect(settledUpTo(openNumbers, nextNumber)).toBe(upTo)
    },
  )
})

describe("vectors: answers", () => {
  interface Answer {
    readonly why: string
    readonly entry: NewEntry
    readonly result: Result
    readonly base: Row | null
    readonly settled: Omit<Settled, "remains"> & { readonly remains: NewEntry | null }
  }
  for (const each of cases<Answer>("outbox", "answers")) {
    test(title(each), () => {
      const { remains } = each.settled
      expect(settle(newEntry(each.entry), each.result, each.base)).toEqual({
        ...each.settled,
        remains: remains === null ? null : newEntry(remains),
      })
    })
  }
})

describe("a queue", () => {
  const row = { entity: "account", rowId: "0e8dd58a-61c2-4fb8-a22e-6cb0b5f0c7aa" }
  const at = (n: number) => `018bcfe568${String(n).padStart(2, "0")}-0000-00000000000000aa`
  const entry = (local: number, more: Partial<Entry> = {}) =>
    newEntry({ ...row, local, kind: "edit", stamp: at(local), fields: { name: "x" }, ...more })

  test("with an entry in flight leaves it alone, and queues the next one behind it", () => {
    const inFlight = entry(1, { number: 7 })
    const next = entry(2, { fields: { name: "y" } })
    expect(fold([inFlight], next)).toEqual({ gone: [], entry: next })
    // The answer to the first says nothing about the second.
    const settled = settle(inFlight, { number: 7, fate: "applied" }, null)
    expect(settled.remains).toBeNull()
    expect(settled.won?.fields).toEqual({ name: "x", [EXISTS]: true })
    expect(overlay(settled.won, [next])?.fields).toEqual({ name: "y", [EXISTS]: true })
  })

  test("ends a push at 500 rows or 512 KiB", () => {
    const many = Array.from({ length: 1000 }, (_, n) => entry(n + 1))
    expect(cut(many, sizeOf)).toHaveLength(500)
    const large = many.map((each) => ({ ...each, fields: { note: "x".repeat(4000) } }))
    const batch = cut(large, sizeOf)
    expect(batch.length).toBeGreaterThan(100)
    const bytes = batch.reduce((sum, each) => sum + sizeOf(each) + 1, 0)
    expect(bytes).toBeLessThanOrEqual(512 * 1024)
    expect(bytes + sizeOf(entry(1, { fields: { note: "x".repeat(4000) } }))).toBeGreaterThan(
      512 * 1024 - 200,
    )
  })
})
