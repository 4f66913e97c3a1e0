// What a server answers in the vectors, heard by a device: its base ends as the server's rows.

import { describe, expect, test } from "vitest"

import type { Row } from "./change"
import { canonicalFields } from "./entity"
import { wireToRow } from "./frames"
import { merge } from "./merge"
import type { Ack, Change, EntityDescription, Push, Rows, WireRow } from "./messages"
import { type Entry, newEntry, settle } from "./outbox"
import { cases, title, vectors } from "./testing/vectors"

interface Conversation {
  readonly why: string
  readonly rows: readonly WireRow[]
  readonly frames: readonly { readonly send: Push | Rows; readonly answer: Ack }[]
  readonly after: readonly WireRow[]
}

const ENTITIES = vectors("frames")["entities"] as Readonly<Record<string, EntityDescription>>

const keyOf = ({ entity, id }: WireRow | Change) => `${entity}/${id}`
const rowsByKey = (rows: readonly WireRow[]) =>
  new Map<string, Row>(rows.map((wire) => [keyOf(wire), wireToRow(wire)]))

/** The change as a device queues it: its values are canonical before they are stamped. */
function entryOf({ id, number, fields = {}, ...change }: Change): Entry {
  const spec = ENTITIES[change.entity]
  const isCreate = change.kind === "create"
  const checked = spec === undefined ? null : canonicalFields(spec, fields, { isCreate })
  const known = checked?.refused === null ? checked.value.known : {}
  return newEntry({ ...change, local: number, number, rowId: id, fields: { ...fields, ...known } })
}

/** The base of a device that has read the household and hears the answers to its pushes. */
function baseAfter({ rows, frames }: Conversation): ReadonlyMap<string, Row> {
  const base = rowsByKey(rows)
  for (const { send, answer } of frames) {
    for (const change of send.type === "push" ? send.changes : []) {
      const result = (answer.results ?? []).find(({ number }) => number === change.number)
      if (result === undefined) expect.fail(`No answer to ${String(change.number)}`)
      if (result.fate === "settled") continue // a number of before, or of a copy of this device
      const before = base.get(keyOf(change)) ?? null
      const { won, remains } = settle(entryOf(change), result, before)
      if (won !== null) base.set(keyOf(change), merge(before, won))
      // Nothing is forgotten that the server has not taken.
      const isDone = result.fate !== "refused" && result.unknown === undefined
      expect(remains === null).toBe(isDone)
    }
  }
  return base
}

describe("vectors", () => {
  for (const each of cases<Conversation>("frames", "conversations")) {
    test(`a device ends with what the server holds: ${title(each)}`, () => {
      const held = rowsByKey(each.after)
      // What `rows` have healed comes back with the next page.
      const base = each.frames.some(({ send }) => send.type === "push") ? baseAfter(each) : held
      for (const [key, { fields, stamps }] of base) {
        expect(held.get(key)).toMatchObject({ fields, stamps })
      }
    })
  }
})
