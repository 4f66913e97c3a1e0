// What this device says: each frame is made from what is durable at that moment.

import type { Hello, Ping, Pull, Push, Report, Rows } from "../../sync/core/messages"
import { BATCH_MAX_BYTES, BATCH_MAX_ROWS } from "../../sync/core/messages"
import { type Entry, cut, settledUpTo, sizeOf, toChange } from "../../sync/core/outbox"
import type { Facts } from "../../sync/core/session"
import { jsonLength } from "../../sync/core/text"
import { type Tables, wireOf } from "./database"
import { type Ground, correctedMs, look, write } from "./ground"
import { countIn, entriesIn, hasHealRows, waitingRows } from "./heal"
import type { Meta } from "./notes"

/** What the session decides by. */
export function factsOf(ground: Ground): Promise<Facts> {
  return look(ground, async (meta, db) => {
    const [open, hasRows] = await Promise.all([entriesIn(db, "open", 1), hasHealRows(db)])
    return {
      readSeq: meta.readSeq,
      // Without a cursor nothing was read, not even that there is nothing: what an ack puts into
      // the base must have a cursor beside it, or no reset would ever be found due.
      isWalking: meta.isWalking || meta.cursor === null,
      hasRows: meta.isHealOpen || hasRows,
      hasChanges: open.length > 0,
      mayWrite: meta.role !== "viewer",
    }
  })
}

/**
 * Begin a conversation: from now on this tab is the one whose word counts. An older
 * conversation, of this or another tab, finds its lease gone, and ends.
 */
export function takeLease(ground: Ground): Promise<void> {
  return write(ground, ({ meta }) => {
    meta.lease = ground.lease = ground.world.token(8)
    return Promise.resolve()
  })
}

export async function hello(ground: Ground): Promise<Hello> {
  ground.rowsInFlight = null
  ground.helloSentMs = ground.world.wallMs()
  return look(ground, async (meta, db) => ({
    type: "hello",
    device: meta.device,
    node: meta.node,
    formerNodes: meta.formerNodes,
    name: meta.name,
    app: meta.app,
    cursor: meta.cursor ?? meta.cursorBefore ?? null,
    pending: await pendingCount(db),
    acknowledged: await acknowledged(db, meta),
    clockMs: Math.max(ground.helloSentMs, 0),
    household: meta.householdName === null ? null : { name: meta.householdName },
    reset: meta.reset ?? (meta.isHealOpen ? "restored" : null),
    anchor: meta.anchor,
  }))
}

export function pull(ground: Ground, ask: boolean): Promise<Pull> {
  return look(ground, ({ cursor }) =>
    Promise.resolve({ type: "pull", cursor, limit: batchRows(ground), ask }),
  )
}

/** The next changes, perhaps none; their numbers are durable before they leave. */
export function push(ground: Ground): Promise<Push> {
  return write(
    ground,
    async (writing) => {
      const { db, meta } = writing
      const waiting = await entriesToSend(db, batchRows(ground))
      const batch = cut(waiting, sizeOf, batchRows(ground), batchBytes(ground))
      const numbered = batch.map((entry): Entry & { number: number } => ({
        ...entry,
        number: entry.number ?? meta.nextNumber++,
        wasSent: true,
      }))
      const fresh = numbered.filter((_, n) => batch[n]?.number === null)
      writing.isIdle = fresh.length === 0
      await db.outbox.bulkPut(fresh)
      return {
        type: "push",
        changes: numbered.map((entry) => toChange(entry, entry.number)),
        acknowledged: await acknowledged(db, meta),
      }
    },
    { asSender: true },
  )
}

/** Open entries: first those that have a number, in its order, then as queued. */
async function entriesToSend(db: Tables, limit: number): Promise<readonly Entry[]> {
  const numbered = await db.outbox.where("number").above(0).limit(limit).toArray()
  const isOpen = (entry: Entry) => entry.state === "open"
  const open = numbered.filter(isOpen)
  if (open.length >= limit) return open
  const others = await db.outbox
    .where("[state+local]")
    .between(["open", -Infinity], ["open", Infinity])
    .limit(limit + open.length)
    .toArray()
  return [...open, ...others.filter((entry) => entry.number === null)].slice(0, limit)
}

/** The next rows of the heal list, perhaps none: then it only reports that it is empty. */
export async function rowsToHeal(ground: Ground): Promise<Rows> {
  return look(ground, async (_, db) => {
    const waiting = await waitingRows(db, batchRows(ground) + 1)
    const size = (heal: (typeof waiting)[number]) => jsonLength(wireOf(heal))
    const batch = cut(waiting, size, batchRows(ground), batchBytes(ground))
    const wasLast = batch.length === waiting.length
    ground.rowsInFlight = { versions: new Set(batch.map((heal) => heal.version)), wasLast }
    return { type: "rows", rows: batch.map(wireOf), last: wasLast }
  })
}

export async function ping(ground: Ground): Promise<Ping> {
  return look(ground, async (meta, db) => {
    const counts = await countsOf(db)
    const oldestMs = await oldestMadeMs(db)
    ground.pingSentMs = ground.world.wallMs()
    return {
      type: "ping",
      pending: counts.pending,
      oldestPendingMs: oldestMs === null ? 0 : Math.max(correctedMs(ground, meta) - oldestMs, 0),
      refused: counts.refused,
      parked: counts.parked,
      cursor: meta.cursor,
      clockMs: Math.max(ground.pingSentMs, 0),
    }
  })
}

export async function report(
  ground: Ground,
  id: string,
  outcome: "done" | "pending" | "failed",
): Promise<Report> {
  return look(ground, async (meta, db) => {
    const counts = await countsOf(db)
    return {
      type: "report",
      id,
      sent: ground.sent,
      received: ground.received,
      ...counts,
      cursor: meta.cursor,
      outcome: outcome === "done" && counts.parked > 0 ? "pending" : outcome,
    }
  })
}

// --- counting --------------------------------------------------------------------------------------

/** pending: changes that the server has not decided yet. */
export interface Counts {
  readonly pending: number
  readonly refused: number
  readonly parked: number
}

export async function countsOf(db: Tables): Promise<Counts> {
  const [open, healing, refused, parked, parkedRows] = await Promise.all([
    countIn(db, "open"),
    countIn(db, "healing"),
    countIn(db, "refused"),
    countIn(db, "parked"),
    db.heal.where("isParked").equals(1).count(),
  ])
  return { pending: open + healing, refused, parked: parked + parkedRows }
}

async function pendingCount(db: Tables): Promise<number> {
  return (await countIn(db, "open")) + (await countIn(db, "healing"))
}

/** When the oldest change that is not decided was made. */
async function oldestMadeMs(db: Tables): Promise<number | null> {
  const oldest = [...(await entriesIn(db, "open", 1)), ...(await entriesIn(db, "healing", 1))]
  return oldest.length === 0 ? null : Math.min(...oldest.map((entry) => entry.madeMs))
}

async function acknowledged(db: Tables, meta: Meta): Promise<number> {
  const first = await db.outbox.orderBy("number").first()
  const open = first?.number ?? null
  return settledUpTo(open === null ? [] : [open], meta.nextNumber)
}

function batchRows({ limits, portion }: Ground): number {
  return Math.ceil((limits.batchRows ?? BATCH_MAX_ROWS) * portion)
}

function batchBytes({ limits, portion }: Ground): number {
  return Math.ceil((limits.batchBytes ?? BATCH_MAX_BYTES) * portion)
}
