// Last write wins, field by field: the only place that decides who wins.
//
// Every field carries the stamp of its last write. The greater stamp wins; at equal stamps the
// greater canonical value wins, so an equal one is a repeat. The result does not depend on
// order, repetition or grouping, which makes all replicas end equal.

import { type Fields, type Row, type Stamps, canonicalText, stampAt, valueAt } from "./change"
import { NO_STAMP, nodeOf } from "./clock"
import type { Json } from "./messages"
import { at, put } from "./record"
import { compareText } from "./text"
import { uuid5 } from "./uuid5"

const CONFLICT_NAMESPACE = "6f1d4c1e-1c0f-5a52-9d5b-6d4c3f0f6a11"

/** Whether (stamp, value) beats (overStamp, overValue). An equal one does not. */
export function isWinner(stamp: string, value: Json, overStamp: string, overValue: Json): boolean {
  if (stamp !== overStamp) return stamp > overStamp
  return compareText(canonicalText(value), canonicalText(overValue)) > 0
}

/** Whether two canonical values are the same one. */
export function isEqual(a: Json, b: Json): boolean {
  return a === b || canonicalText(a) === canonicalText(b)
}

/**
 * Merge two states of one row: commutative, associative, idempotent.
 *
 * Returns `a` itself if `b` brings nothing.
 */
export function merge(a: Row | null, b: Row): Row {
  if (a === null) return b
  const fields: Record<string, Json> = {}
  const stamps: Record<string, string> = {}
  for (const [name, stamp] of Object.entries(b.stamps)) {
    const value = valueAt(b.fields, name)
    if (isWinner(stamp, value, stampAt(a.stamps, name), valueAt(a.fields, name))) {
      put(fields, name, value)
      put(stamps, name, stamp)
    }
  }
  return withWinners(a, fields, stamps)
}

/** A row with the fields that have won; the row itself if there are none. */
export function withWinners(row: Row, fields: Fields, stamps: Stamps): Row {
  if (Object.keys(stamps).length === 0) return row
  return {
    ...row,
    fields: { ...row.fields, ...fields },
    stamps: { ...row.stamps, ...stamps },
  }
}

export function isSame(a: Row | null, b: Row): boolean {
  if (a === b) return true
  return (
    a !== null &&
    hasSame(a.stamps, b.stamps, (x, y) => x === y) &&
    hasSame(a.fields, b.fields, isEqual)
  )
}

/** A value that lost against one whose author had not seen it. */
export interface Overruled {
  readonly field: string
  readonly winningValue: Json
  readonly winningStamp: string
  readonly losingValue: Json
  readonly losingStamp: string
}

/** What a change does to a row. */
export interface Decision {
  readonly row: Row
  readonly fate: "applied" | "superseded"
  readonly won: readonly string[]
  readonly lost: readonly string[]
  readonly overruled: readonly Overruled[]
  /** False for a repeat: nothing to write, nobody to wake. */
  readonly isChanged: boolean
}

/**
 * Lay one change over a row. (A device leaves this to its server; it is here because both must
 * be able to say what the other will.)
 *
 * written: canonical values by field, existence included.
 * seen: for each field the stamp that its author was shown when he began to edit.
 * ownNodes: the nodes of the device that made the change; it cannot conflict with itself.
 *
 * A conflict is an overruled *different* value of another device: when the incoming value
 * wins, only if its author had not seen the stored stamp; when it loses, always.
 */
export function decide(
  current: Row | null,
  entity: string,
  rowId: string,
  written: Fields,
  stamp: string,
  seen: Stamps,
  ownNodes: ReadonlySet<string>,
): Decision {
  const row = current ?? { entity, id: rowId, fields: {}, stamps: {} }
  const fields: Record<string, Json> = {}
  const stamps: Record<string, string> = {}
  const won: string[] = []
  const lost: string[] = []
  const overruled: Overruled[] = []
  for (const [field, value] of Object.entries(written)) {
    const storedStamp = stampAt(row.stamps, field)
    const storedValue = valueAt(row.fields, field)
    if (storedStamp === stamp && isEqual(storedValue, value)) {
      won.push(field) // a repeat: it has won before
      continue
    }
    const isForeign =
      storedStamp !== NO_STAMP && !isEqual(storedValue, value) && !ownNodes.has(nodeOf(storedStamp))
    const incoming = { value, stamp }
    const stored = { value: storedValue, stamp: storedStamp }
    if (isWinner(stamp, value, storedStamp, storedValue)) {
      put(fields, field, value)
      put(stamps, field, stamp)
      won.push(field)
      if (isForeign && stampAt(seen, field) !== storedStamp) {
        overruled.push(overrule(field, incoming, stored))
      }
    } else {
      lost.push(field)
      if (isForeign) overruled.push(overrule(field, stored, incoming))
    }
  }
  return {
    row: withWinners(row, fields, stamps),
    fate: won.length > 0 ? "applied" : "superseded",
    won,
    lost,
    overruled,
    isChanged: Object.keys(stamps).length > 0,
  }
}

/** The same conflict has the same id wherever and however often it is found. */
export function conflictId(entity: string, rowId: string, overruled: Overruled): string {
  const { field, winningStamp, losingStamp } = overruled
  return uuid5(CONFLICT_NAMESPACE, [entity, rowId, field, winningStamp, losingStamp].join("/"))
}

interface Write {
  readonly value: Json
  readonly stamp: string
}

function overrule(field: string, winner: Write, loser: Write): Overruled {
  return {
    field,
    winningValue: winner.value,
    winningStamp: winner.stamp,
    losingValue: loser.value,
    losingStamp: loser.stamp,
  }
}

function hasSame<Value>(
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  isSameValue: (x: Value, y: Value) => boolean,
): boolean {
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => {
    const [x, y] = [at(a, name), at(b, name)]
    return x !== undefined && y !== undefined && isSameValue(x, y)
  })
}
