// A device's queue of its own changes: what folds, what is shown, what is sent.
//
// The device keeps each row as the server last decided it (the base) and lays its queue over it
// for the eye. Only entries that were never sent fold or get another stamp; what may have reached
// the server is history. All functions are pure; the store makes their results durable.
//
// Folding, never-sent earlier entry (down) by new entry (across); "covers" means that the new
// entry writes every field of the earlier one, and each entry writes `exists`:
//
//             create                  edit                     delete
//     create  goes if covered         goes if covered; the     stays
//                                     edit becomes the create
//     edit    goes if covered         goes if covered          goes if it wrote no field
//     delete  goes                    goes                     goes
//
// A create that goes leaves no entry of its row before the survivor, or it stays: an edit must
// not come before the create that makes its row.

import {
  type Fields,
  type Row,
  type Stamps,
  newestStamp,
  stampAll,
  stampAt,
  valueAt,
  writtenBy,
} from "./change"
import {
  type Clock,
  NO_STAMP,
  clampMs,
  isStamp,
  later,
  msOf,
  newest,
  nextStamp,
  stampToText,
  tick,
} from "./clock"
import { isWinner, merge, withWinners } from "./merge"
import {
  BATCH_MAX_BYTES,
  BATCH_MAX_ROWS,
  type Change,
  type ChangeKind,
  type Json,
  NUMBER_MAX,
  type Result,
} from "./messages"
import { at, put } from "./record"
import { jsonLength } from "./text"

const FRAME_HEAD_BYTES = 200 // what surrounds the changes of a push

/**
 * One change in the queue.
 *
 * local: its place in the queue, never used again. number: given durably at first sending.
 * wasSent: it may have reached the server, perhaps under a former identity.
 * madeMs: corrected time of the edit, milliseconds since 1970 UTC.
 * state: open (to be sent), healing (on its way inside a whole row), parked (the server does not
 * know something yet) or refused (its person decides); code, field and message tell why.
 */
export interface Entry {
  readonly local: number
  readonly entity: string
  readonly rowId: string
  readonly kind: ChangeKind
  readonly stamp: string
  readonly fields: Fields
  readonly seen: Stamps
  readonly madeMs: number
  readonly number: number | null
  readonly wasSent: boolean
  readonly state: "open" | "healing" | "parked" | "refused"
  readonly code: string
  readonly field: string
  readonly message: string
}

/** What a new entry has to say; the rest is as in an entry that was never sent. */
export type NewEntry = Pick<Entry, "local" | "entity" | "rowId" | "kind" | "stamp"> & Partial<Entry>

export function newEntry(told: NewEntry): Entry {
  return {
    fields: {},
    seen: {},
    madeMs: 0,
    number: null,
    wasSent: false,
    state: "open",
    code: "",
    field: "",
    message: "",
    ...told,
  }
}

/** The row that an entry writes to, as one text. An id has no "/", so no two rows share it. */
export function keyOf(row: { readonly entity: string; readonly rowId: string }): string {
  return `${row.entity}/${row.rowId}`
}

/** What this entry writes: its fields, and existence. */
export function writtenOf(entry: Entry): Fields {
  return writtenBy(entry.kind, entry.fields)
}

export function wasNeverSent(entry: Entry): boolean {
  return entry.number === null && !entry.wasSent
}

// --- folding ---------------------------------------------------------------------------------

/** gone: entries that the new one makes needless; entry: the new one, as it is queued. */
export interface Folded {
  readonly gone: readonly Entry[]
  readonly entry: Entry
}

/**
 * Decide which earlier entries of its row a new entry makes needless.
 *
 * entries: those of the row, in queue order. What the server ends with is the same whether the
 * folded or the unfolded entries are sent.
 */
export function fold(entries: readonly Entry[], added: Entry): Folded {
  const covered = new Set(entries.filter((each) => isCovered(each, added)))
  for (const [place, create] of entries.entries()) {
    const leavesSome = entries.slice(place + 1).some((each) => !covered.has(each))
    if (create.kind === "create" && leavesSome) covered.delete(create)
  }
  if (covered.size === 0) return { gone: [], entry: added }
  const gone = [...covered]
  // The oldest of them was made on what its author saw then; the new one stands in for it.
  const seen = { ...added.seen }
  for (const each of gone) {
    for (const [name, stamp] of Object.entries(each.seen)) {
      if (!Object.hasOwn(seen, name)) put(seen, name, stamp)
    }
  }
  const isCreate = gone.some((each) => each.kind === "create")
  return { gone, entry: { ...added, kind: isCreate ? "create" : added.kind, seen } }
}

function isCovered(earlier: Entry, added: Entry): boolean {
  if (!wasNeverSent(earlier) || earlier.state !== "open") return false
  if (earlier.kind === "create" && added.kind === "delete") return false
  return Object.keys(earlier.fields).every((name) => Object.hasOwn(added.fields, name))
}

// --- for the eye -----------------------------------------------------------------------------

/**
 * The row as its person sees it: the base with the queue laid over it, by stamp.
 *
 * By stamp, not by order of arrival: so a newer value of somebody else that was pulled meanwhile
 * shows at once, as it will after the push.
 */
export function overlay(base: Row | null, entries: Iterable<Entry>): Row | null {
  return lay(base, entries).row
}

/** The overlaid row, and by field the entry whose value shows. */
function lay(
  base: Row | null,
  entries: Iterable<Entry>,
): { readonly row: Row | null; readonly shows: ReadonlyMap<string, Entry> } {
  let row = base
  const shows = new Map<string, Entry>()
  for (const entry of entries) {
    const under: Row = row ?? { entity: entry.entity, id: entry.rowId, fields: {}, stamps: {} }
    const fields: Record<string, Json> = {}
    const stamps: Record<string, string> = {}
    for (const [name, value] of Object.entries(writtenOf(entry))) {
      const over = [stampAt(under.stamps, name), valueAt(under.fields, name)] as const
      if (isWinner(entry.stamp, value, ...over)) {
        put(fields, name, value)
        put(stamps, name, entry.stamp)
        shows.set(name, entry)
      }
    }
    row = withWinners(under, fields, stamps)
  }
  return { row, shows }
}

/**
 * The `seen` of a new entry: for each field the stamp that its author was shown.
 *
 * On top of an entry of his own, sent or not, it hands on the stamp which that entry names: his
 * own value hides what he has not seen.
 *
 * entries: those of the row that lie over the base, in queue order.
 * shown: the stamps of the row when he began to edit, if that was earlier than now.
 */
export function seenFor(
  base: Row | null,
  entries: readonly Entry[],
  written: Iterable<string>,
  shown: Stamps | null = null,
): Stamps {
  const { row, shows } = lay(base, entries)
  const own = new Map(entries.map((entry) => [entry.stamp, entry]))
  const seen: Record<string, string> = {}
  for (const name of written) {
    const shownStamp = shown === null ? undefined : at(shown, name)
    const entry = shownStamp === undefined ? shows.get(name) : own.get(shownStamp)
    const stamp =
      entry === undefined
        ? (shownStamp ?? (row === null ? NO_STAMP : stampAt(row.stamps, name)))
        : stampAt(entry.seen, name)
    if (stamp !== NO_STAMP) put(seen, name, stamp)
  }
  return seen
}

/** The newest stamp that a row carries in its base and its entries. */
export function newestOf(base: Row | null, entries: readonly Entry[]): string {
  return later(newestStamp(base), newest(entries.map((each) => each.stamp)))
}

// --- stamps of what was never sent -------------------------------------------------------------

/** New stamps by `local`, and the clock after giving them. */
export interface Restamped {
  readonly stamps: ReadonlyMap<number, string>
  readonly clock: Clock
}

/**
 * Bring never-sent entries that lie ahead of corrected time down to it, no further.
 *
 * entries: all never-sent ones, in queue order. floors: by row (`keyOf`), the newest stamp in its
 * base and its sent entries: what is re-stamped stays later. nowMs: corrected time.
 * clock: lowered by the caller; its stamps are used, so they stay its latest.
 *
 * The order of a row's entries is kept.
 */
export function restampAhead(
  entries: Iterable<Entry>,
  floors: ReadonlyMap<string, string>,
  nowMs: number,
  clock: Clock,
): Restamped {
  const stamps = new Map<number, string>()
  const latest = new Map<string, string>()
  for (const entry of entries) {
    const key = keyOf(entry)
    const floor = later(latest.get(key) ?? NO_STAMP, floors.get(key) ?? NO_STAMP)
    let stamp = entry.stamp
    if (msOf(stamp) > nowMs) {
      const given = stampAfter(floor, nowMs, clock)
      clock = given.clock
      // Otherwise its floor lies ahead, too: nothing lower is later than that.
      if (given.stamp < stamp) {
        stamp = given.stamp
        stamps.set(entry.local, stamp)
      }
    }
    latest.set(key, stamp)
  }
  return { stamps, clock }
}

/**
 * Lift a row's waiting entries over the effective stamp of one that was sent.
 *
 * The server re-stamped the earlier entry; what was typed after it stays after it. own: the stamp
 * it was sent with; what is not later than that was typed before, and parked since.
 * entries: those of the row that wait, in queue order.
 */
export function restampBehind(
  entries: Iterable<Entry>,
  own: string,
  effective: string,
  nowMs: number,
  clock: Clock,
): Restamped {
  const stamps = new Map<number, string>()
  let floor = effective
  for (const entry of entries) {
    if (entry.stamp <= own) continue
    if (entry.stamp > floor) {
      floor = entry.stamp
      continue
    }
    const given = stampAfter(floor, nowMs, clock)
    clock = given.clock
    floor = given.stamp
    stamps.set(entry.local, floor)
  }
  return { stamps, clock }
}

/**
 * The next stamp of the clock that is later than `floor`.
 *
 * A floor ahead of the clock does not lift it: it would drag every later edit along.
 */
function stampAfter(
  floor: string,
  nowMs: number,
  clock: Clock,
): { readonly stamp: string; readonly clock: Clock } {
  if (floor <= clock.last || msOf(floor) <= nowMs) {
    const ticked = tick(clock, nowMs, floor)
    return { stamp: ticked.last, clock: ticked }
  }
  return { stamp: nextStamp(floor, nowMs, clock.node), clock }
}

/** Lower a clock that is ahead of corrected time; the clock itself if it is not. */
export function lower(clock: Clock, nowMs: number): Clock {
  const now = clampMs(nowMs)
  if (!isStamp(clock.last) || msOf(clock.last) <= now) return clock
  return { ...clock, last: stampToText({ ms: now, counter: 0, node: clock.node }) }
}

// --- sending -----------------------------------------------------------------------------------

/** The head of a queue that fits into one frame; at least one item if there is any. */
export function cut<Item>(
  items: Iterable<Item>,
  bytesOf: (item: Item) => number,
  maxRows: number = BATCH_MAX_ROWS,
  maxBytes: number = BATCH_MAX_BYTES,
): readonly Item[] {
  const batch: Item[] = []
  let bytes = FRAME_HEAD_BYTES
  for (const item of items) {
    bytes += bytesOf(item) + 1
    if (batch.length > 0 && (batch.length >= maxRows || bytes > maxBytes)) break
    batch.push(item)
  }
  return batch
}

/** The bytes that an entry takes in a push, whatever number it gets. */
export function sizeOf(entry: Entry): number {
  return jsonLength(toChange(entry, entry.number ?? NUMBER_MAX))
}

export function toChange(entry: Entry, number: number): Change {
  return {
    number,
    entity: entry.entity,
    id: entry.rowId,
    kind: entry.kind,
    stamp: entry.stamp,
    ...(isEmpty(entry.fields) ? {} : { fields: entry.fields }),
    ...(isEmpty(entry.seen) ? {} : { seen: entry.seen }),
  }
}

/** The greatest number such that all numbers up to it are settled. */
export function settledUpTo(openNumbers: Iterable<number>, nextNumber: number): number {
  let least: number | null = null
  for (const number of openNumbers) if (least === null || number < least) least = number
  return (least ?? nextNumber) - 1
}

// --- answers -----------------------------------------------------------------------------------

/**
 * What one answer means for its entry.
 *
 * won: what the server took, to be merged into the base. effective: the stamp it has there.
 * remains: what stays of the entry, parked, healing or refused; null when it is done.
 * healing: a whole row to be sent as `rows`, with the entry in it.
 */
export interface Settled {
  readonly won: Row | null
  readonly effective: string
  readonly remains: Entry | null
  readonly healing: Row | null
}

/** Decide what an answer other than `settled` does. base: the row of the entry. */
export function settle(entry: Entry, result: Result, base: Row | null): Settled {
  if (result.fate === "refused") return settleRefused(entry, result, base)
  const effective = orElse(result.stamp, entry.stamp)
  const unknownNames = result.unknown ?? []
  const gone = new Set([...(result.lost ?? []), ...unknownNames])
  const won = pick(writtenOf(entry), (name) => !gone.has(name))
  const unknown = pick(entry.fields, (name) => unknownNames.includes(name))
  const { entity, rowId: id } = entry
  const stamps = stampAll(Object.keys(won), effective)
  return {
    won: isEmpty(won) ? null : { entity, id, fields: won, stamps },
    effective,
    remains: isEmpty(unknown) ? null : parked(entry, unknown, effective),
    healing: null,
  }
}

function parked(entry: Entry, unknown: Fields, effective: string): Entry {
  return {
    ...entry,
    kind: "edit",
    // Under its old stamp: later values that are not parked must be able to win.
    stamp: effective,
    fields: unknown,
    seen: pick(entry.seen, (name) => Object.hasOwn(unknown, name)),
    number: null,
    wasSent: true,
    state: "parked",
    code: "unknown",
    message: "The server does not know this field yet.",
  }
}

function settleRefused(entry: Entry, result: Result, base: Row | null): Settled {
  const waiting = { ...entry, number: null, wasSent: true }
  const nothing = { won: null, effective: NO_STAMP, healing: null }
  const code = result.code ?? ""
  if (
    code === "row_missing" &&
    base !== null &&
    entry.kind === "edit" &&
    entry.stamp > (result.horizon ?? NO_STAMP)
  ) {
    // The server lost the row (a restore) or compacted its tombstone, and this edit is newer:
    // the row comes back whole, with the edit in it.
    const fields = writtenOf(entry)
    const stamps = stampAll(Object.keys(fields), entry.stamp)
    const healing = merge(base, { entity: entry.entity, id: entry.rowId, fields, stamps })
    return { ...nothing, remains: { ...waiting, state: "healing" }, healing }
  }
  const remains: Entry = {
    ...waiting,
    state: code === "unknown" ? "parked" : "refused",
    code,
    field: result.field ?? "",
    message: result.message ?? "",
  }
  return { ...nothing, remains }
}

function pick<Value>(
  values: Readonly<Record<string, Value>>,
  isWanted: (name: string) => boolean,
): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => isWanted(name)))
}

function isEmpty(values: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(values).length === 0
}

function orElse(text: string | undefined, otherwise: string): string {
  return text === undefined || text === "" ? otherwise : text
}
