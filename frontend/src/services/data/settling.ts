// What an answer to `push` or `rows` does to the queue, the base and the heal list.

import { EXISTS, type Fields, type Row, isHere, stampAt, valueAt } from "../../sync/core/change"
import { NO_STAMP, later, observe } from "../../sync/core/clock"
import type { Ack, RefusedRow, Result } from "../../sync/core/messages"
import { type Entry, keyOf, restampBehind, settle, writtenOf } from "../../sync/core/outbox"
import { put } from "../../sync/core/record"
import {
  type HealRow,
  type Key,
  type Tables,
  keyText,
  rowOf,
  stored,
  withField,
} from "./database"
import {
  type Ground,
  type RowState,
  type Writing,
  clockOf,
  correctedMs,
  groundRow,
  isToldOf,
  statesOf,
  write,
} from "./ground"
import { deleteHealed, hasHealRows, putHeal, putHealed, releaseKept } from "./heal"
import { putStamps } from "./hearing"
import { takeNewIdentity } from "./identity"

const keyAt = (entry: Entry): Key => [entry.entity, entry.rowId]

/**
 * Settle what was answered. Returns true if the answer shows that this device is a copy of
 * another: it has a new identity now, and connects again.
 */
export async function onAck(ground: Ground, ack: Ack): Promise<boolean> {
  if (ack.of === "rows") {
    await settleRows(ground, ack)
    return false
  }
  return write(ground, (writing) => settlePush(ground, writing, ack), {
    asSender: true,
  })
}

async function settlePush(
  ground: Ground,
  writing: Writing,
  { results = [], head = 0, anchor = "" }: Ack,
): Promise<boolean> {
  const { db } = writing
  writing.meta.anchor = anchor
  const entries = await entriesNumbered(db, results)
  const open = results.flatMap((result) => {
    const entry = entries.get(result.number)
    return entry?.state === "open" ? [{ result, entry }] : [] // others were settled before
  })
  const keys = new Map(open.map(({ entry }) => [keyOf(entry), keyAt(entry)]))
  const states = await statesOf(db, [...keys.values()], { withEntries: false })
  const goneAt = await stagedTombstones(writing, [...keys.values()])
  const settling: Settling = { ground, db, goneAt, bases: new Map(), puts: [], gone: [] }
  const used = new Set<number>() // entries whose number somebody else has used
  const restamped = new Map<string, Restamped[]>()
  for (const { result, entry } of open) {
    if (result.fate === "settled") {
      used.add(entry.local) // there, but open here
      continue
    }
    const state = states.get(keyOf(entry))
    if (state === undefined) continue
    const stamp = await settleOne(settling, entry, result, state)
    if (stamp > entry.stamp) {
      const before = restamped.get(keyOf(entry)) ?? []
      restamped.set(keyOf(entry), [...before, { own: entry.stamp, given: stamp }])
    }
    writing.touch(keyAt(entry))
    ground.sent++
  }
  await db.base.bulkPut(
    [...settling.bases.values()].map(({ base, isUnsure }) =>
      isUnsure ? { ...stored(base), revivedAt: head } : stored(base),
    ),
  )
  await db.outbox.bulkPut(settling.puts)
  await db.outbox.bulkDelete(settling.gone)
  await restampFollowers(ground, writing, restamped, used, keys)
  await releaseKept(db)
  if (used.size > 0) await takeNewIdentity(ground, writing)
  return used.size > 0
}

async function entriesNumbered(
  db: Tables,
  results: readonly Result[],
): Promise<ReadonlyMap<number, Entry>> {
  const numbers = results.map(({ number }) => number)
  if (numbers.length === 0) return new Map()
  const least = numbers.reduce((a, b) => Math.min(a, b))
  const most = numbers.reduce((a, b) => Math.max(a, b))
  const found = await db.outbox.where("number").between(least, most, true, true).toArray()
  return new Map(found.map((entry) => [entry.number ?? 0, entry]))
}

/** The stamps of the tombstones, by row, that a walk has told so far and nobody is shown yet. */
async function stagedTombstones(
  { db, meta }: Writing,
  keys: readonly Key[],
): Promise<ReadonlyMap<string, string>> {
  if (!meta.isWalking) return new Map()
  const found = await db.staging.bulkGet(keys as [string, string][])
  return new Map(
    found
      .filter((staged) => staged !== undefined)
      .map((staged) => [keyText([staged.entity, staged.id]), goneSince(rowOf(staged))]),
  )
}

/** What an answer comes to, written at the end of it at once. */
interface Settling {
  readonly ground: Ground
  readonly db: Tables
  /** The stamps of tombstones in the staging, by row. */
  readonly goneAt: ReadonlyMap<string, string>
  /** isUnsure: it was written over a tombstone, which may have been compacted. */
  readonly bases: Map<string, { readonly base: Row; readonly isUnsure: boolean }>
  readonly puts: Entry[]
  readonly gone: number[]
}

/** Take one answer in. Returns the stamp under which the server has the change. */
async function settleOne(
  settling: Settling,
  entry: Entry,
  result: Result,
  state: RowState,
): Promise<string> {
  const settled = settle(entry, result, groundRow(state))
  if (settled.won !== null) {
    // A row that was only kept is in the household again: the server has just said so.
    const before = state.isKept ? null : state.base
    const staged = settling.goneAt.get(keyOf(entry)) ?? NO_STAMP
    const goneAt = later(before === null ? NO_STAMP : goneSince(before), staged)
    const isRevived = goneAt !== NO_STAMP && stampAt(settled.won.stamps, EXISTS) > goneAt
    // The tombstone may have been compacted, and the server's row be made anew by this very
    // entry. If it was not, the page tells what else is in it.
    const base = accepted(isRevived && entry.kind !== "edit" ? null : before, settled.won)
    if (isRevived) state.isRevived = true
    state.base = base
    state.isKept = false
    settling.bases.set(keyOf(entry), { base, isUnsure: state.isRevived })
  }
  if (settled.healing !== null) await putHeal(settling.db, settled.healing)
  if (settled.remains !== null) settling.puts.push(reopened(settling.ground, settled.remains))
  else settling.gone.push(entry.local)
  return settled.effective
}

/**
 * A repeated answer may be older than the server: what it knows by now is not parked, but sent
 * again at once.
 */
function reopened(ground: Ground, remains: Entry): Entry {
  if (remains.state !== "parked" || !isToldOf(ground, remains.entity, remains.fields)) return remains
  return { ...remains, state: "open", code: "", field: "", message: "" }
}

/**
 * The base with what the server took of a change, by stamp, so that it goes on showing.
 *
 * At once, not with the next page: until that comes, this device is the only one that could give
 * it back to a server that is restored to a moment before. At equal stamps the base stays: it was
 * told by the server, perhaps in another form than the one that was typed here.
 */
function accepted(base: Row | null, won: Row): Row {
  if (base === null) return won
  let row = base
  for (const [name, stamp] of Object.entries(won.stamps)) {
    if (stamp > stampAt(row.stamps, name)) {
      row = withField(row, name, valueAt(won.fields, name), stamp)
    }
  }
  return row
}

/** The stamp of a tombstone; `NO_STAMP` of anything else. */
function goneSince(row: Row): string {
  return isHere(row) ? NO_STAMP : stampAt(row.stamps, EXISTS)
}

/** A change that the server has under a later stamp than its own. */
interface Restamped {
  readonly own: string
  readonly given: string
}

/**
 * What was typed after a change that the server re-stamped stays after it. Also what is
 * parked, unless it was typed before. used: what was sent with it, and not heard because somebody
 * else has used its number.
 */
async function restampFollowers(
  ground: Ground,
  { db, meta }: Writing,
  restamped: ReadonlyMap<string, readonly Restamped[]>,
  used: ReadonlySet<number>,
  keys: ReadonlyMap<string, Key>,
): Promise<void> {
  if (restamped.size === 0) return
  const all = [...restamped.values()].flat()
  let clock = observe(
    clockOf(meta),
    all.map(({ given }) => given),
  )
  const nowMs = correctedMs(ground, meta)
  const rows = [...restamped.keys()].map((text) => keys.get(text)).filter((key) => key !== undefined)
  for (const [text, { entries }] of await statesOf(db, rows)) {
    let waiting = entries.filter(
      ({ state, number, local }) =>
        (state === "open" || state === "parked") && (number === null || used.has(local)),
    )
    for (const { own, given } of restamped.get(text) ?? []) {
      const lifted = restampBehind(waiting, own, given, nowMs, clock)
      clock = lifted.clock
      waiting = await putStamps(db, waiting, lifted.stamps)
    }
  }
  meta.clock = clock.last
}

// --- rows ------------------------------------------------------------------------------------------

/** The server has merged what `rows` brought, but for what it names. */
async function settleRows(ground: Ground, ack: Ack): Promise<void> {
  const { rowsInFlight } = ground
  if (rowsInFlight === null) return
  ground.rowsInFlight = null
  const refused = new Map<string, RefusedRow[]>()
  for (const each of ack.refusedRows ?? []) {
    const text = keyText([each.entity, each.id])
    refused.set(text, [...(refused.get(text) ?? []), each])
  }
  await write(
    ground,
    async (writing) => {
      const { db } = writing
      // A row that was written to meanwhile has another version, and is sent again.
      const versions = [...rowsInFlight.versions]
      const sent = (await db.heal.bulkGet(versions)).filter((heal) => heal !== undefined)
      await db.heal.bulkDelete(sent.map((heal) => heal.version))
      const states = await statesOf(db, sent.map(keyOfHeal))
      for (const heal of sent) {
        const state = states.get(keyText(keyOfHeal(heal)))
        const healing = (state?.entries ?? []).filter((entry) => entry.state === "healing")
        const healed = await settleRow(
          db,
          rowOf(heal),
          refused.get(keyText(keyOfHeal(heal))) ?? [],
          healing,
        )
        if (healed !== null) await putHealed(db, healed, ack.head ?? 0)
        writing.touch(keyOfHeal(heal))
      }
      if (rowsInFlight.wasLast && !(await hasHealRows(db))) writing.meta.isHealOpen = false
      writing.meta.anchor = ack.anchor ?? ""
      // Nothing has changed there: no page will come.
      if (!writing.meta.isWalking) await deleteHealed(db, writing.meta.readSeq)
      await releaseKept(db)
    },
    { asSender: true },
  )
}

const keyOfHeal = ({ entity, id }: HealRow): Key => [entity, id]

/**
 * One healed row; what of it was refused stays here, visible.
 *
 * Returns what was taken. It does not go into the base: only a page tells which stamps it has
 * now, or that it lies before the horizon and is gone.
 */
async function settleRow(
  db: Tables,
  row: Row,
  refused: readonly RefusedRow[],
  waiting: readonly Entry[],
): Promise<Row | null> {
  const fields: Record<string, Fields[string]> = {}
  const stamps: Record<string, string> = {}
  const keep = (name: string) => {
    put(fields, name, valueAt(row.fields, name))
    put(stamps, name, stampAt(row.stamps, name))
  }
  const taken = new Set(Object.keys(row.fields))
  const remaining = new Map(waiting.map((entry) => [entry.local, entry]))
  for (const { code, message, field = "" } of refused) {
    const isWhole = field === "" || field === EXISTS
    for (const name of isWhole ? Object.keys(row.fields) : [field]) {
      taken.delete(name)
      const isEntrys = waiting.some((entry) => Object.hasOwn(writtenOf(entry), name))
      if (Object.hasOwn(row.fields, name) && !isEntrys) keep(name)
    }
    for (const entry of remaining.values()) {
      if (!isWhole && !Object.hasOwn(entry.fields, field)) continue
      const state = code === "unknown" ? "parked" : "refused"
      remaining.set(entry.local, { ...entry, state, code, field, message })
    }
  }
  const [first] = refused
  if (first !== undefined && Object.keys(fields).length > 0) {
    keep(EXISTS)
    const { code, message } = first
    await putHeal(db, { ...row, fields, stamps }, { isParked: 1, code, message })
  }
  const [done, left] = [[...remaining.values()].filter(isHealing), [...remaining.values()]]
  await db.outbox.bulkPut(left.filter((entry) => !isHealing(entry)))
  await db.outbox.bulkDelete(done.map((entry) => entry.local))
  return taken.size === 0 ? null : only(row, taken)
}

function only(row: Row, names: ReadonlySet<string>): Row {
  const fields: Record<string, Fields[string]> = {}
  const stamps: Record<string, string> = {}
  for (const name of names) {
    put(fields, name, valueAt(row.fields, name))
    put(stamps, name, stampAt(row.stamps, name))
  }
  return { ...row, fields, stamps }
}

function isHealing(entry: Entry): boolean {
  return entry.state === "healing"
}
