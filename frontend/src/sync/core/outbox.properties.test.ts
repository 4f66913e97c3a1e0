// Whatever is typed: folding changes nothing that the server ends with, stamps keep order.

import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { EXISTS, type Fields, type Row, type Stamps, stampAll } from "./change"
import { type Clock, NO_STAMP, later, msOf, newest, stampToText, tick } from "./clock"
import { isSame, merge } from "./merge"
import type { ChangeKind } from "./messages"
import {
  type Entry,
  fold,
  keyOf,
  lower,
  newEntry,
  newestOf,
  overlay,
  restampAhead,
  restampBehind,
  seenFor,
  toChange,
  wasNeverSent,
  writtenOf,
} from "./outbox"
import { takeChanges } from "./testing/household"

const NOW = 1_700_000_000_000
const NODE = "00000000000000aa"
const OTHER = "00000000000000bb"
const ROWS = [
  "33333333-3333-4333-8333-333333333333",
  "44444444-4444-4444-8444-444444444444",
] as const
const DEFAULTS: Fields = { a: 0, b: 0, c: 0 }

const at = (ms: number, node: string, counter = 0) => stampToText({ ms: NOW + ms, counter, node })
const rowOf = (fields: Fields, stamps: Stamps): Row => ({
  entity: "thing",
  id: ROWS[0],
  fields,
  stamps,
})

const value = fc.integer({ min: 0, max: 2 })
const whole = fc.record({ a: value, b: value, c: value }) // a device fills a create
const part = fc.record({ a: value, b: value, c: value }, { requiredKeys: [] })
const acts = fc.array(
  fc.record({
    kind: fc.constantFrom<ChangeKind>("create", "edit", "edit", "delete"),
    whole,
    part,
  }),
  { minLength: 1, maxLength: 8 },
)
type Acts = typeof acts extends fc.Arbitrary<infer Value> ? Value : never

const bases = fc.option(
  fc.tuple(whole, fc.boolean()).map(([values, isHere]) => {
    const fields = { ...values, [EXISTS]: isHere }
    return rowOf(fields, stampAll(Object.keys(fields), at(0, OTHER)))
  }),
)

// Somebody else's change that the device has not pulled. Its values are none that the device
// types: an equal one is taken over without a conflict.
const theirs = fc.integer({ min: 7, max: 9 })
const meanwhile = fc.option(
  fc
    .tuple(fc.record({ a: theirs, b: theirs, c: theirs }), fc.boolean(), fc.nat(9))
    .map(([values, isHere, ms]) => {
      const fields = { ...values, [EXISTS]: isHere }
      return rowOf(fields, stampAll(Object.keys(fields), at(ms, OTHER, 1)))
    }),
)

/** Queue what a person does, as a device would: a create only where no row is. */
function typeIn(base: Row | null, script: Acts, { folds }: { folds: boolean }): readonly Entry[] {
  let queue: readonly Entry[] = []
  script.forEach(({ kind, whole, part }, n) => {
    if (overlay(base, queue) === null && kind !== "create") return
    const fields: Fields = { create: whole, edit: part, delete: {} }[kind]
    const typed = newEntry({
      local: n + 1,
      entity: "thing",
      rowId: ROWS[0],
      kind,
      stamp: at(n + 1, NODE),
      fields,
    })
    const seen = seenFor(base, queue, Object.keys(writtenOf(typed)))
    const added = { ...typed, seen }
    const folded = folds ? fold(queue, added) : { gone: [], entry: added }
    queue = [...queue.filter((each) => !folded.gone.includes(each)), folded.entry]
  })
  return queue
}

function serverAfter(stored: Row | null, queue: readonly Entry[], unseen: Row | null = null) {
  const held = unseen === null ? stored : merge(stored, unseen)
  const changes = queue.map((entry, n) => toChange(entry, n + 1))
  return takeChanges(held, changes, NODE, DEFAULTS)
}

describe("folding", () => {
  test("leaves the server's end as it is, also with a change that was not pulled yet", () => {
    fc.assert(
      fc.property(bases, acts, meanwhile, (base, script, unseen) => {
        const unfolded = typeIn(base, script, { folds: false })
        const folded = typeIn(base, script, { folds: true })
        expect(folded.length).toBeLessThanOrEqual(unfolded.length)
        expect(serverAfter(base, folded, unseen)).toEqual(serverAfter(base, unfolded, unseen))
      }),
      { numRuns: 500 },
    )
  })

  test("leaves what the eye sees as it is, which is what the server will have", () => {
    fc.assert(
      fc.property(bases, acts, (base, script) => {
        const folded = typeIn(base, script, { folds: true })
        const shown = overlay(base, folded)
        expect(shown).toEqual(overlay(base, typeIn(base, script, { folds: false })))
        if (folded.length === 0) return
        const { row, refused } = serverAfter(base, folded)
        expect(refused).toEqual([])
        expect(row).toEqual(shown)
      }),
    )
  })
})

describe("the overlay", () => {
  test("does not depend on the order of the queue: it is a merge by stamps", () => {
    fc.assert(
      fc.property(bases, acts, fc.infiniteStream(fc.nat()), (base, script, chance) => {
        const queue = typeIn(base, script, { folds: true })
        const shown = overlay(base, queue)
        const keyed = queue.map((entry) => [chance.next().value as number, entry] as const)
        const shuffled = keyed.sort(([a], [b]) => a - b).map(([, entry]) => entry)
        expect(overlay(base, shuffled)).toEqual(shown)
        if (shown !== null) {
          expect(overlay(shown, queue)).toEqual(shown)
          expect(isSame(merge(base, shown), shown)).toBe(true)
        }
      }),
    )
  })
})

const offsets = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.integer({ min: -(10 ** 11), max: 3 * 10 ** 11 }),
)
const typed = fc.array(fc.tuple(fc.constantFrom(...ROWS), offsets, fc.boolean()), { maxLength: 12 })
type Typed = typeof typed extends fc.Arbitrary<infer Value> ? Value : never

/** Entries as a device makes them under a wandering wall clock; sent ones first. */
function queueOf(typed: Typed): readonly Entry[] {
  let clock: Clock = { node: NODE, last: NO_STAMP }
  const queue: Entry[] = []
  const sentCount = typed.filter(([, , isSent]) => isSent).length
  typed.forEach(([rowId, offset], n) => {
    const row = queue.filter((each) => each.rowId === rowId)
    clock = tick(clock, NOW + offset, newestOf(null, row))
    const number = n < sentCount ? n + 1 : null
    const told = { local: n + 1, entity: "thing", rowId, kind: "edit", stamp: clock.last } as const
    queue.push(newEntry({ ...told, fields: { a: n }, number }))
  })
  return queue
}

function expectAscending(stamps: readonly string[]): void {
  expect([...new Set(stamps)].sort()).toEqual(stamps)
}

describe("re-stamping", () => {
  test("lowers to now and no further, and keeps the order of a row's changes", () => {
    fc.assert(
      fc.property(typed, fc.nat(5000), (typed, aheadMs) => {
        const queue = queueOf(typed)
        const all = newest(queue.map(({ stamp }) => stamp))
        const floors = new Map(
          ROWS.map((rowId) => {
            const sent = queue.filter((each) => each.rowId === rowId && !wasNeverSent(each))
            // One row's base is a little ahead.
            const foreign = rowId === ROWS[0] ? at(aheadMs, OTHER, 7) : NO_STAMP
            return [keyOf({ entity: "thing", rowId }), later(newestOf(null, sent), foreign)]
          }),
        )
        const unsent = queue.filter(wasNeverSent)
        const { stamps } = restampAhead(unsent, floors, NOW, lower({ node: NODE, last: all }, NOW))
        for (const [key, floor] of floors) {
          const mine = unsent.filter((each) => keyOf(each) === key)
          const after = mine.map(({ local, stamp }) => stamps.get(local) ?? stamp)
          expectAscending(after)
          mine.forEach((entry, n) => {
            const stamp = after[n] ?? ""
            expect(stamp <= entry.stamp).toBe(true)
            if (stamp !== entry.stamp) {
              expect(msOf(stamp)).toBeGreaterThanOrEqual(NOW)
              expect(stamp > floor).toBe(true)
            } else if (msOf(stamp) > NOW) {
              expect(msOf(floor), "nothing lower was free").toBeGreaterThanOrEqual(NOW)
            }
          })
        }
      }),
    )
  })

  test("lifts over an effective stamp, and keeps the order of a row's changes", () => {
    fc.assert(
      fc.property(typed, offsets, (typed, offset) => {
        const mine = queueOf(typed).filter(({ rowId }) => rowId === ROWS[0])
        const effective = at(offset, OTHER, 3)
        const clock = { node: NODE, last: NO_STAMP }
        const { stamps } = restampBehind(mine, NO_STAMP, effective, NOW, clock)
        const after = mine.map(({ local, stamp }) => stamps.get(local) ?? stamp)
        expectAscending(after)
        for (const stamp of after) expect(stamp > effective).toBe(true)
      }),
    )
  })
})
