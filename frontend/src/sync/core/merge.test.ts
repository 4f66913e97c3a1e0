import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import {
  EXISTS,
  type Fields,
  type Row,
  type Stamps,
  canonicalText,
  isHere,
  stampAll,
  writtenBy,
} from "./change"
import { nodeOf } from "./clock"
import { type Decision, type Overruled, conflictId, decide, isSame, isWinner, merge } from "./merge"
import type { ChangeKind } from "./messages"
import { at } from "./record"
import { ROW_ID, nearStamps, nodes, rows, values, written } from "./testing/arbitraries"
import { cases, title } from "./testing/vectors"

const PHONE = "00000000000000aa"
const TABLET = "00000000000000bb"
const LAPTOP = "00000000000000cc"

const stamp = (ms: number, node = PHONE) => `${ms.toString(16).padStart(12, "0")}-0000-${node}`

/** account({name: ["Giro", stamp]}): each field with its stamp. */
function account(written: Readonly<Record<string, readonly [string | boolean, string]>>): Row {
  const entries = Object.entries(written)
  return {
    entity: "account",
    id: ROW_ID,
    fields: Object.fromEntries(entries.map(([name, [value]]) => [name, value])),
    stamps: Object.fromEntries(entries.map(([name, [, stamp]]) => [name, stamp])),
  }
}

function lay(
  current: Row | null,
  fields: Fields,
  at: string,
  seen: Stamps = {},
  own: readonly string[] = [PHONE],
): Decision {
  return decide(current, "account", ROW_ID, fields, at, seen, new Set(own))
}

describe("vectors", () => {
  interface DecisionCase {
    readonly why: string
    readonly row: Row | null
    readonly change: { kind: ChangeKind; fields: Fields; stamp: string; seen: Stamps }
    readonly ownNodes: readonly string[]
    readonly outcome: {
      fate: string
      changed: boolean
      won: string[]
      lost: string[]
      row: Row
      conflicts: (Overruled & { id: string })[]
    }
  }
  for (const each of cases<DecisionCase>("merges", "decisions")) {
    test(`decision: ${title(each)}`, () => {
      const { kind, fields, stamp, seen } = each.change
      const { conflicts, changed, ...outcome } = each.outcome
      const { entity, id } = outcome.row
      const own = new Set(each.ownNodes)
      const written = writtenBy(kind, fields)
      const { overruled, ...decision } = decide(each.row, entity, id, written, stamp, seen, own)
      expect(decision).toEqual({ ...outcome, isChanged: changed })
      expect(overruled.map((one) => ({ id: conflictId(entity, id, one), ...one }))).toEqual(
        conflicts,
      )
    })
  }

  for (const each of cases<{ why: string; a: Row | null; b: Row; merged: Row }>(
    "merges",
    "merges",
  )) {
    test(`merge: ${title(each)}`, () => {
      expect(merge(each.a, each.b)).toEqual(each.merged)
      if (each.a !== null) expect(isSame(merge(each.b, each.a), each.merged)).toBe(true)
    })
  }

  for (const each of cases<{ why: string; states: Row[]; end: Row }>("merges", "convergence")) {
    test(`convergence: ${title(each)}`, () => {
      for (const states of permutations(each.states)) {
        expect(isSame(mergeAll(states), each.end)).toBe(true)
        expect(isSame(mergeAll([...states, ...states]), each.end)).toBe(true)
        const [first, ...rest] = states
        expect(isSame(merge(first ?? null, mergeAll(rest)), each.end)).toBe(true)
      }
    })
  }
})

describe("merging", () => {
  test("does not depend on the order", () => {
    fc.assert(fc.property(rows, rows, (a, b) => isSame(merge(a, b), merge(b, a))))
  })

  test("does not depend on the grouping", () => {
    fc.assert(
      fc.property(rows, rows, rows, (a, b, c) =>
        isSame(merge(merge(a, b), c), merge(a, merge(b, c))),
      ),
    )
  })

  test("again changes nothing, not even the object", () => {
    fc.assert(
      fc.property(rows, rows, (a, b) => {
        const merged = merge(a, b)
        for (const each of [a, b, merged]) expect(merge(merged, each)).toBe(merged)
      }),
    )
  })

  test("ends equal on all replicas, whatever arrives when, how often and grouped how", () => {
    const arrivals = fc.array(rows, { minLength: 1, maxLength: 5 }).chain((states) =>
      fc.tuple(
        fc.constant(states),
        fc
          .array(fc.constantFrom(...states), { maxLength: 4 })
          .chain((more) =>
            fc.shuffledSubarray([...states, ...more], { minLength: states.length + more.length }),
          ),
        fc.nat(),
      ),
    )
    fc.assert(
      fc.property(arrivals, ([states, arriving, place]) => {
        const cut = place % (arriving.length + 1)
        const halves = [arriving.slice(0, cut), arriving.slice(cut)].filter(
          (half) => half.length > 0,
        )
        expect(isSame(mergeAll(halves.map(mergeAll)), mergeAll(states))).toBe(true)
      }),
    )
  })

  test("leaves both sides as they were", () => {
    fc.assert(
      fc.property(rows, rows, (a, b) => {
        const before = structuredClone([a, b])
        merge(a, b)
        expect([a, b]).toEqual(before)
      }),
    )
  })

  test("lets exactly one of two different writes win", () => {
    fc.assert(
      fc.property(nearStamps, values, nearStamps, values, (stampA, a, stampB, b) => {
        const wins = [isWinner(stampA, a, stampB, b), isWinner(stampB, b, stampA, a)]
        const isEqual = stampA === stampB && canonicalText(a) === canonicalText(b)
        expect(wins.filter(Boolean)).toHaveLength(isEqual ? 0 : 1)
      }),
    )
  })

  test("compares values by code points, not by UTF-16 units", () => {
    // U+FF5E is less than U+1F600, but greater than its first surrogate.
    expect(isWinner(stamp(5), "\u{1f600}", stamp(5), "\uff5e")).toBe(true)
  })
})

describe("existence", () => {
  test("a newer edit brings a deleted row back whole", () => {
    const row = account({
      name: ["Giro", stamp(1)],
      note: ["x", stamp(1)],
      exists: [true, stamp(1)],
    })
    const deleted = lay(row, { [EXISTS]: false }, stamp(2, TABLET), {}, [TABLET]).row
    expect([isHere(deleted), deleted.fields["note"]]).toEqual([false, "x"])
    const back = lay(deleted, { name: "Bar", [EXISTS]: true }, stamp(3)).row
    expect(back.fields).toEqual({ name: "Bar", note: "x", exists: true })
  })

  test("an older edit is merged under the tombstone, and the row stays deleted", () => {
    const row = account({ name: ["Giro", stamp(1)], exists: [false, stamp(5, TABLET)] })
    const decision = lay(row, { name: "Bar", [EXISTS]: true }, stamp(3))
    expect([decision.fate, decision.won, decision.lost]).toEqual(["applied", ["name"], [EXISTS]])
    expect(decision.row.fields).toEqual({ name: "Bar", exists: false })
  })
})

describe("a decision", () => {
  const grounds = fc.option(rows)
  const owners = fc.uniqueArray(nodes)

  test("ends as the merge of what the change writes", () => {
    fc.assert(
      fc.property(grounds, written, nearStamps, owners, (current, fields, at, own) => {
        const decision = lay(current, fields, at, {}, own)
        const stamps = stampAll(Object.keys(fields), at)
        const incoming: Row = { entity: "account", id: ROW_ID, fields, stamps }
        expect(isSame(decision.row, merge(current, incoming))).toBe(true)
        expect(decision.isChanged).toBe(!isSame(current, decision.row))
      }),
    )
  })

  test("lets each field either win or lose", () => {
    fc.assert(
      fc.property(grounds, written, nearStamps, owners, (current, fields, stamp, own) => {
        const { won, lost, row, fate } = lay(current, fields, stamp, {}, own)
        expect([...won, ...lost].sort()).toEqual(Object.keys(fields).sort())
        expect(fate).toBe(won.length > 0 ? "applied" : "superseded")
        for (const name of won) expect(at(row.stamps, name)).toBe(stamp)
      }),
    )
  })

  test("with an equal value moves the stamp, and tells no conflict: D13", () => {
    fc.assert(
      fc.property(rows, nearStamps, owners, (current, stamp, own) => {
        const decision = lay(current, current.fields, stamp, {}, own)
        expect(decision.overruled).toEqual([])
        expect(decision.row.fields).toEqual(current.fields)
        for (const [name, before] of Object.entries(current.stamps)) {
          expect(at(decision.row.stamps, name)).toBe(before > stamp ? before : stamp)
        }
      }),
    )
  })

  test("on a repeat changes nothing, and says what it said", () => {
    fc.assert(
      fc.property(grounds, written, nearStamps, owners, (current, fields, at, own) => {
        const first = lay(current, fields, at, {}, own)
        const again = lay(first.row, fields, at, {}, own)
        expect([again.isChanged, again.won]).toEqual([false, first.won])
        expect(isSame(first.row, again.row)).toBe(true)
      }),
    )
  })

  test("tells conflicts between different values only, and never with oneself", () => {
    fc.assert(
      fc.property(rows, written, nearStamps, owners, (current, fields, stamp, own) => {
        for (const each of lay(current, fields, stamp, {}, own).overruled) {
          expect(each.winningValue).not.toEqual(each.losingValue)
          const stored = each.losingStamp === stamp ? each.winningStamp : each.losingStamp
          expect(at(current.stamps, each.field)).toBe(stored)
          expect(own).not.toContain(nodeOf(stored))
        }
      }),
    )
  })

  test("of an author who has seen everything overrules without a conflict", () => {
    fc.assert(
      fc.property(rows, written, nearStamps, (current, fields, at) => {
        const { overruled, lost } = lay(current, fields, at, current.stamps)
        for (const each of overruled) expect(lost).toContain(each.field)
      }),
    )
  })

  test("over a field that nobody has written is no conflict, whatever its author was shown", () => {
    const restored = account({ exists: [true, stamp(1, TABLET)] })
    expect(lay(restored, { name: "Bar" }, stamp(3), { name: stamp(2, TABLET) }).overruled).toEqual(
      [],
    )
  })

  test("is no conflict with a former node of the same device", () => {
    const current = account({ name: ["Giro", stamp(2, LAPTOP)] })
    for (const at of [stamp(1), stamp(3)]) {
      expect(lay(current, { name: "Bar" }, at, {}, [PHONE, LAPTOP]).overruled).toEqual([])
    }
  })
})

function mergeAll(states: readonly Row[]): Row {
  const [first, ...rest] = states
  if (first === undefined) throw new Error("nothing to merge")
  return rest.reduce(merge, first)
}

function permutations<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  if (items.length < 2) return [items]
  return items.flatMap((item, n) =>
    permutations(items.toSpliced(n, 1)).map((rest) => [item, ...rest]),
  )
}
