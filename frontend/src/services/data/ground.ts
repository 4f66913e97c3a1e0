// What every part of the replica stands on: the database, the clock, what is known, who we are.

import { type Fields, type Row } from "../../sync/core/change"
import type { Clock } from "../../sync/core/clock"
import { type Entities, entitiesFrom } from "../../sync/core/entities"
import { merge } from "../../sync/core/merge"
import type { Limits } from "../../sync/core/messages"
import { type Entry, keyOf, overlay } from "../../sync/core/outbox"
import { trouble } from "../errors"
import { type Key, type ReplicaDatabase, type StoredRow, type Tables, inWords, keyText, rowOf } from "./database"
import { DEVICE, ENTITIES, type Meta } from "./notes"
import type { World } from "./world"

/** The entity of the server's notes about overruled values. */
export const CONFLICT = "conflict"

/** Which rows look different now; "all": look at everything again. */
export type Changed = readonly Key[] | "all"

/** Another tab talks to the server now: what this one hears or says is not for the store. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost"
}

/** What is known of the entities: as the server told them, and with what the program knows. */
interface Known {
  readonly version: string
  readonly told: Entities
  readonly entities: Entities
}

/**
 * A device of one household, in one tab.
 *
 * builtIn: what the program itself knows of the entities. lease: the conversation of this tab, "" if it has none. sent, received: changes and rows since
 * the page was opened. portion, portionMax: how much of what the protocol allows goes into one frame,
 * 0 < portion <= portionMax <= 1: less where the network is slow or breaks, or somebody on the way
 * takes less.
 * announce: is told after every commit.
 */
export interface Ground {
  readonly database: ReplicaDatabase
  readonly world: World
  readonly builtIn: Entities
  readonly announce: (changed: Changed, revision: number, isEdit: boolean) => void
  lease: string
  sent: number
  received: number
  limits: Limits
  portion: number
  portionMax: number
  known: Known | null
  helloSentMs: number
  pingSentMs: number
  rowsInFlight: { readonly versions: ReadonlySet<number>; readonly wasLast: boolean } | null
}

export function newGround(
  database: ReplicaDatabase,
  world: World,
  builtIn: Entities,
  announce: Ground["announce"],
): Ground {
  return {
    database,
    world,
    builtIn,
    announce,
    lease: "",
    sent: 0,
    received: 0,
    limits: {},
    portion: 1,
    portionMax: 1,
    known: null,
    helloSentMs: 0,
    pingSentMs: 0,
    rowsInFlight: null,
  }
}

// --- transactions ----------------------------------------------------------------------------------

/** One transaction that writes: the meta as it is there, and what it changes for the eye. */
export interface Writing {
  readonly db: Tables
  readonly meta: Meta
  /** Set to true when nothing was written: then nothing is told, and the disk is left alone. */
  isIdle: boolean
  /** The queue has a new entry. */
  isEdit: boolean
  changed: Set<string> | "all"
  readonly touch: (key: Key) => void
}

/**
 * One transaction, all or nothing, durable when this returns. Throws Trouble.
 *
 * asSender: only while this tab's conversation is the one that counts; otherwise throws LeaseLost.
 */
export async function write<Result>(
  ground: Ground,
  work: (writing: Writing) => Promise<Result>,
  { asSender = false } = {},
): Promise<Result> {
  const { database } = ground
  let result: Result
  let done: Writing | null
  try {
    ;[result, done] = await database.within("rw", async (db) => {
      const meta = await readMeta(db)
      if (asSender && (meta.lease !== ground.lease || ground.lease === "")) throw new LeaseLost()
      const writing = newWriting(db, meta)
      await learn(ground, db, writing.meta)
      const found = await work(writing)
      if (writing.isIdle) return [found, null]
      writing.meta.revision++
      await putMeta(db, writing.meta)
      return [found, writing]
    })
  } catch (error) {
    throw inWords(error)
  }
  if (done !== null) tell(ground, done)
  return result
}

function newWriting(db: Tables, meta: Meta): Writing {
  const writing: Writing = {
    db,
    meta: { ...meta },
    isIdle: false,
    isEdit: false,
    changed: new Set(),
    touch: (key) => {
      if (writing.changed !== "all") writing.changed.add(keyText(key))
    },
  }
  return writing
}

function tell(ground: Ground, { changed, meta, isEdit }: Writing): void {
  const keys = changed === "all" ? changed : [...changed].map(textKey)
  ground.announce(keys, meta.revision, isEdit)
}

function textKey(text: string): Key {
  const at = text.lastIndexOf("/")
  return [text.slice(0, at), text.slice(at + 1)]
}

/** One look at the database, in one snapshot. Throws Trouble. */
export async function look<Result>(
  ground: Ground,
  work: (meta: Meta, db: Tables) => Promise<Result>,
): Promise<Result> {
  const { database } = ground
  try {
    return await database.within("r", async (db) => {
      const meta = await readMeta(db)
      await learn(ground, db, meta)
      return work(meta, db)
    })
  } catch (error) {
    throw inWords(error)
  }
}

async function readMeta(db: Tables): Promise<Meta> {
  const note = await db.notes.get(DEVICE)
  // Somebody has emptied the database under us: an empty household is not what was kept here.
  if (note === undefined) throw trouble("storage_gone", "What was kept here has been deleted.")
  return note.value as Meta
}

export async function putMeta(db: Tables, meta: Meta): Promise<void> {
  await db.notes.put({ key: DEVICE, value: meta })
}

/** What is known of the entities, if the server has told something new. */
async function learn(ground: Ground, db: Tables, meta: Meta): Promise<void> {
  if (ground.known?.version === meta.version) return
  const note = await db.notes.get(ENTITIES)
  const told = entitiesFrom((note?.value ?? {}) as Readonly<Record<string, unknown>>)
  ground.known = { version: meta.version, told, entities: united(ground.builtIn, told) }
}

/**
 * What the server or the program knows. The server's word counts; a field that it does not know
 * yet is typed all the same, and will be parked.
 */
function united(builtIn: Entities, told: Entities): Entities {
  const entities = { ...builtIn, ...told }
  for (const [name, { fields }] of Object.entries(builtIn)) {
    const both = told[name]
    if (both !== undefined) entities[name] = { ...both, fields: { ...fields, ...both.fields } }
  }
  return entities
}

export function entitiesOf(ground: Ground): Entities {
  return ground.known?.entities ?? ground.builtIn
}

/** Whether the server of the latest welcome knows all of these fields. */
export function isToldOf(ground: Ground, entity: string, fields: Fields): boolean {
  const known = ground.known?.told[entity]?.fields
  return known !== undefined && Object.keys(fields).every((name) => Object.hasOwn(known, name))
}

// --- time and identity -----------------------------------------------------------------------------

/** The server's time, as far as this device can tell. */
export function correctedMs(ground: Ground, meta: Meta): number {
  return ground.world.wallMs() + meta.offsetMs
}

export function clockOf(meta: Meta): Clock {
  return { node: meta.node, last: meta.clock }
}

export function ownNodes(meta: Meta): ReadonlySet<string> {
  return new Set([meta.node, ...meta.formerNodes])
}

// --- rows as their person sees them ------------------------------------------------------------------

/** What lies under the queue of some rows, and the queue itself: read at once, written at once. */
export interface RowState {
  readonly key: Key
  base: Row | null
  isKept: boolean
  /** An ack has written over its tombstone, and no page has told it since. */
  isRevived: boolean
  readonly heal: Row | null
  /** Open, parked or being healed, in queue order. */
  entries: readonly Entry[]
  hasRefused: boolean
}

/** The states of some rows by `keyText`. withEntries: false where only what lies under counts. */
export async function statesOf(
  db: Tables,
  keys: readonly Key[],
  { withEntries = true } = {},
): Promise<Map<string, RowState>> {
  const ids = keys as [string, string][]
  const [bases, heals, entries] = await Promise.all([
    db.base.bulkGet(ids),
    healRowsOf(db, keys),
    entriesAt(db, withEntries ? keys : []),
  ])
  const states = new Map<string, RowState>()
  keys.forEach((key, n) => {
    const base: StoredRow | undefined = bases[n]
    const text = keyText(key)
    const own = entries.get(text) ?? []
    states.set(text, {
      key,
      base: base === undefined ? null : rowOf(base),
      isKept: base?.kept === 1,
      isRevived: (base?.revivedAt ?? 0) > 0,
      heal: heals.get(text) ?? null,
      entries: own.filter((entry) => entry.state !== "refused"),
      hasRefused: own.some((entry) => entry.state === "refused"),
    })
  })
  return states
}

export async function stateOf(db: Tables, key: Key): Promise<RowState> {
  const state = (await statesOf(db, [key])).get(keyText(key))
  if (state === undefined) throw new Error("unreachable: a state for each key")
  return state
}

async function healRowsOf(
  db: Tables,
  keys: readonly Key[],
): Promise<ReadonlyMap<string, Row>> {
  if ((await db.heal.limit(1).count()) === 0) return new Map()
  const found = await db.heal
    .where("[entity+id+isParked]")
    .anyOf(keys.map(([entity, id]) => [entity, id, 0]))
    .toArray()
  return new Map(found.map((heal) => [keyText([heal.entity, heal.id]), rowOf(heal)]))
}

async function entriesAt(
  db: Tables,
  keys: readonly Key[],
): Promise<ReadonlyMap<string, readonly Entry[]>> {
  // One request for each, all at once: a cursor over all of them waits for every single step.
  const found = await Promise.all(
    (keys as [string, string][]).map((key) =>
      db.outbox.where("[entity+rowId]").equals(key).toArray(),
    ),
  )
  return groupEntries(found.flat())
}

/** Entries by row, each row's in queue order. */
export function groupEntries(entries: readonly Entry[]): Map<string, Entry[]> {
  const found = new Map<string, Entry[]>()
  for (const entry of [...entries].sort((a, b) => a.local - b.local)) {
    const key = keyOf(entry)
    const list = found.get(key)
    if (list === undefined) found.set(key, [entry])
    else list.push(entry)
  }
  return found
}

/** The base, with what is on its way to a restored server. */
export function groundRow({ base, heal }: Pick<RowState, "base" | "heal">): Row | null {
  return heal === null ? base : merge(base, heal)
}

/** The row with the queue laid over it, tombstone or not; null if unknown. */
export function shownRow(state: RowState): Row | null {
  // What is kept for a refused edit only is not to be seen.
  if (state.isKept && state.entries.length === 0) return null
  return overlay(groundRow(state), state.entries)
}

export function fieldsOf(row: Row | null): Fields {
  return row?.fields ?? {}
}
