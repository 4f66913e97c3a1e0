// Rows and changes as the merge sees them.
//
// A row is a value and a stamp for each field. Existence is a field like the others,
// `exists`: a delete writes false, every other change writes true.

import { NO_STAMP, newest } from "./clock"
import type { ChangeKind, Json } from "./messages"
import { at, put } from "./record"

export const EXISTS = "exists"

export type Fields = Readonly<Record<string, Json>>
export type Stamps = Readonly<Record<string, string>>

/**
 * One row of one household: values by field, stamps by field (text form).
 *
 * A field without a stamp was never written; it has no value either.
 */
export interface Row {
  readonly entity: string
  readonly id: string
  readonly fields: Fields
  readonly stamps: Stamps
}

export function isHere(row: Row | null): boolean {
  return row !== null && at(row.fields, EXISTS) === true
}

export function newestStamp(row: Row | null): string {
  return row === null ? NO_STAMP : newest(Object.values(row.stamps))
}

/** The stamp under which a row has a field; NO_STAMP if nobody has written it. */
export function stampAt(stamps: Stamps, name: string): string {
  return at(stamps, name) ?? NO_STAMP
}

/** The value that a row has in a field; null if nobody has written it. */
export function valueAt(fields: Fields, name: string): Json {
  return at(fields, name) ?? null
}

/** What a change of this kind writes: its fields, and existence. */
export function writtenBy(kind: ChangeKind, fields: Fields): Fields {
  return { ...fields, [EXISTS]: kind !== "delete" }
}

/** The same stamp for each of these fields. */
export function stampAll(names: Iterable<string>, stamp: string): Stamps {
  const stamps: Record<string, string> = {}
  for (const name of names) put(stamps, name, stamp)
  return stamps
}

/**
 * One text per canonical value, the same in both languages: the tie-breaker.
 *
 * Values are JSON scalars (text in NFC, decimals as canonical text), so compact JSON is
 * enough. Compared by code points.
 */
export function canonicalText(value: Json): string {
  return JSON.stringify(value)
}

export interface PackedStamps {
  readonly common: string
  readonly exceptions: Stamps
}

/**
 * Split stamps into the most frequent one and the exceptions by field.
 *
 * Most rows were written by one change, so this is one stamp instead of fifteen. The most
 * frequent stamp speaks for the row's *other named fields* only: see `unpackStamps`.
 */
export function packStamps(stamps: Stamps): PackedStamps {
  const counts = new Map<string, number>()
  for (const stamp of Object.values(stamps)) counts.set(stamp, (counts.get(stamp) ?? 0) + 1)
  let common = NO_STAMP
  let most = 0
  for (const [stamp, count] of counts) {
    // The greater stamp on a tie: both languages must pack alike.
    if (count > most || (count === most && stamp > common)) {
      common = stamp
      most = count
    }
  }
  const exceptions: Record<string, string> = {}
  for (const [name, stamp] of Object.entries(stamps)) {
    if (stamp !== common) put(exceptions, name, stamp)
  }
  return { common, exceptions }
}

/** The inverse of `packStamps`: a stamp for each of `fields`. */
export function unpackStamps(
  fields: Readonly<Record<string, unknown>>,
  packed: PackedStamps,
): Stamps {
  const stamps: Record<string, string> = {}
  for (const name of Object.keys(fields)) {
    put(stamps, name, at(packed.exceptions, name) ?? packed.common)
  }
  return stamps
}
