// What the server says, and what it does to the database: each frame one transaction.
//
// After a crash at any step the frame counts as not heard, and comes again: a page because the
// cursor has not moved, an answer because its number is still open.

import type { Row } from "../../sync/core/change"
import { newest, observe } from "../../sync/core/clock"
import type { Changes, ResetReason, Welcome, WireRow } from "../../sync/core/messages"
import { type Entry, keyOf, lower, newestOf, restampAhead, wasNeverSent } from "../../sync/core/outbox"
import {
  baseRows,
  completeBareRows,
  mergeStaging,
  noteMadeAnew,
  noteWhatIsMissing,
  replaceBaseByStaging,
  stage,
  takeIntoBase,
} from "./base"
import { type Key, type Tables, rowOf } from "./database"
import {
  CONFLICT,
  type Ground,
  type Writing,
  clockOf,
  correctedMs,
  entitiesOf,
  groundRow,
  statesOf,
  write,
} from "./ground"
import { deleteHealed, healAgain, openParked, releaseKept, reopenHealing } from "./heal"
import { takeNewIdentity } from "./identity"
import { ENTITIES, type Meta } from "./notes"
import { addSample, offsetOf } from "./timekeeping"

const CONFLICT_DAYS_MS = 90 * 24 * 3600 * 1000
const OFFSET_STEP_MS = 20 // a smaller step of the offset is not worth a write to the disk

// --- welcome -----------------------------------------------------------------------------------------

/**
 * Take in who is there and what time it is. Returns true if this device has to say hello again: the
 * identity was taken, and it has another one now; or it heals after all.
 */
export function onWelcome(ground: Ground, welcome: Welcome): Promise<boolean> {
  return write(
    ground,
    async (writing) => {
      const { meta } = writing
      if (welcome.identity === "taken") {
        await takeNewIdentity(ground, writing)
        return true
      }
      hearTime(ground, meta, welcome.timeMs, ground.helloSentMs)
      ground.limits = welcome.limits
      if (meta.householdName !== null) meta.wasBornHere = true
      meta.householdName = null // a server has acknowledged it
      meta.role = welcome.role
      let healsAgain = false
      if (welcome.version !== meta.version) {
        await writing.db.notes.put({ key: ENTITIES, value: welcome.entities })
        meta.version = welcome.version
        // What was parked while this device healed keeps its stamps only if it heals again.
        healsAgain = (await openParked(writing.db)) && !meta.isHealOpen
        meta.isHealOpen ||= healsAgain
        writing.changed = "all"
      }
      if (welcome.reset) await noteReset(writing.db, meta, welcome.reset)
      await lowerClock(ground, writing)
      await forgetOldConflicts(ground, writing)
      return healsAgain
    },
    { asSender: true },
  )
}

/** The server's time in a pong. */
export async function onTime(ground: Ground, serverMs: number): Promise<void> {
  await write(
    ground,
    (writing) => {
      const { meta } = writing
      const before = meta.offsetMs
      hearTime(ground, meta, serverMs, ground.pingSentMs)
      const isSettled = meta.offsetSamples.length > 3
      writing.isIdle = isSettled && Math.abs(meta.offsetMs - before) < OFFSET_STEP_MS
      return Promise.resolve()
    },
    { asSender: true },
  )
}

function hearTime(ground: Ground, meta: Meta, serverMs: number, sentMs: number): void {
  meta.offsetSamples = addSample(meta.offsetSamples, serverMs, sentMs, ground.world.wallMs())
  meta.offsetMs = offsetOf(meta.offsetSamples)
}

/** What was typed under a clock that ran ahead comes down to corrected time. */
async function lowerClock(ground: Ground, { db, meta }: Writing): Promise<void> {
  const nowMs = Math.max(correctedMs(ground, meta), 0)
  const clock = lower(clockOf(meta), nowMs)
  const limit = `${nowMs.toString(16).padStart(12, "0")}-ffff-${"f".repeat(16)}`
  const later = await db.outbox.where("stamp").above(limit).toArray()
  const ahead = later
    .filter((entry) => wasNeverSent(entry) && entry.state === "open")
    .sort((a, b) => a.local - b.local)
  const keys = new Map(ahead.map((entry): [string, Key] => [keyOf(entry), [entry.entity, entry.rowId]]))
  const lowered = new Set(ahead.map((entry) => entry.local))
  const floors = new Map<string, string>()
  for (const [text, state] of await statesOf(db, [...keys.values()])) {
    // Also never-sent ones that are not ahead: the order of a row's entries is kept.
    const others = state.entries.filter((entry) => !lowered.has(entry.local))
    floors.set(text, newestOf(groundRow(state), others))
  }
  const restamped = restampAhead(ahead, floors, nowMs, clock)
  await putStamps(db, ahead, restamped.stamps)
  meta.clock = restamped.clock.last
}

/** stamps: by local. Returns the entries as they are now. */
export async function putStamps(
  db: Tables,
  entries: readonly Entry[],
  stamps: ReadonlyMap<number, string>,
): Promise<Entry[]> {
  const now = entries.map((entry) => ({ ...entry, stamp: stamps.get(entry.local) ?? entry.stamp }))
  await db.outbox.bulkPut(now.filter((entry) => stamps.has(entry.local)))
  return now
}

/** Durably, before anything else: hello repeats it until the snapshot is complete. */
async function noteReset(db: Tables, meta: Meta, reason: ResetReason): Promise<void> {
  // A second reset must not make this device forget to heal.
  meta.reset = meta.reset === "restored" && reason === "horizon" ? "restored" : reason
  // Said until there is another: a household restored meanwhile could not be told without.
  meta.cursorBefore = meta.cursor ?? meta.cursorBefore ?? null
  meta.cursor = null
  meta.readSeq = 0
  meta.isWalking = true
  await db.staging.clear()
  if (reason !== "horizon") meta.anchor = "" // it has told, or is of a life that has ended
  if (reason === "restored") await healAgain(db)
}

async function forgetOldConflicts(ground: Ground, writing: Writing): Promise<void> {
  const { db } = writing
  const beforeMs = correctedMs(ground, writing.meta) - CONFLICT_DAYS_MS
  const left = new Set<string>()
  for await (const rows of baseRows(db, CONFLICT)) {
    for (const { entity, id, fields } of rows) {
      if (Number(fields["atMs"] ?? 0) >= beforeMs) {
        left.add(id)
        continue
      }
      await db.base.delete([entity, id])
      writing.touch([entity, id])
    }
  }
  const dismissed = await db.dismissed.toCollection().primaryKeys()
  await db.dismissed.bulkDelete(dismissed.filter((id) => !left.has(id)))
}

// --- changes -----------------------------------------------------------------------------------------

/**
 * Store a page and the cursor behind it; a gap or a page known already is not stored.
 *
 * A walk of several pages lies in the staging until it is complete.
 */
export async function onChanges(
  ground: Ground,
  frame: Changes,
): Promise<"stored" | "gap" | "known"> {
  return write(
    ground,
    async (writing) => {
      const { db, meta } = writing
      const { rows } = frame
      if (frame.from > meta.readSeq || frame.to < meta.readSeq) {
        writing.isIdle = true
        return frame.from > meta.readSeq ? "gap" : "known"
      }
      if (rows.length === 0 && !meta.isWalking && frame.cursor === meta.cursor) {
        writing.isIdle = true // nothing new, nothing written
        return "stored"
      }
      if (frame.more || meta.isWalking) {
        if (meta.isWalking && meta.reset === null) await noteMadeAnew(db, rows, frame.head)
        await stage(db, rows)
        ground.received += rows.length
      } else {
        const changed = await takeIntoBase(db, rows, frame.head)
        ground.received += changed.length
        for (const { entity, id } of changed) writing.touch([entity, id])
      }
      meta.clock = observe(clockOf(meta), rows.map(newestOfWire)).last
      meta.cursor = frame.cursor
      meta.cursorBefore = null
      meta.readSeq = frame.to
      if (meta.isWalking && !frame.more) await finishWalk(ground, writing, frame.head)
      meta.isWalking = frame.more
      if (!frame.more) for (const key of await deleteHealed(db, meta.readSeq)) writing.touch(key)
      return "stored"
    },
    { asSender: true },
  )
}

/** The last page is staged: the whole walk becomes the base, in this transaction. */
async function finishWalk(ground: Ground, writing: Writing, head: number): Promise<void> {
  const { db } = writing
  writing.changed = "all"
  if (writing.meta.reset === null) await mergeStaging(db, head)
  else await finishReset(ground, writing)
  await db.staging.clear()
}

/** The snapshot replaces the base; after a restore, what it lacks is to be healed. */
async function finishReset(ground: Ground, { db, meta }: Writing): Promise<void> {
  const entities = entitiesOf(ground)
  if (meta.reset === "restored" && meta.role !== "viewer") {
    const isReadOnly = (entity: string) =>
      entity === CONFLICT || entities[entity]?.readOnly === true
    await noteWhatIsMissing(db, isReadOnly)
    meta.isHealOpen = true
  } else if (meta.reset === "horizon" && meta.role !== "viewer") {
    await completeBareRows(db)
  } else if (meta.reset === "operator") {
    // Only the queue is sent into the new life of the household.
    await db.heal.clear()
    await reopenHealing(db)
    meta.isHealOpen = false
  }
  await replaceBaseByStaging(db)
  await releaseKept(db)
  meta.reset = null
}

function newestOfWire({ stamp, stamps = {} }: WireRow): string {
  return newest([stamp, ...Object.values(stamps)])
}

/** The conflicts that this device has been told. */
export async function conflictRows(db: Tables): Promise<readonly Row[]> {
  const found: Row[] = []
  for await (const rows of baseRows(db, CONFLICT)) found.push(...rows.map(rowOf))
  return found
}
