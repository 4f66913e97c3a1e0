// The rows of a household as their person sees them, kept up with every commit of any tab.

import { type Row, isHere } from "../../sync/core/change"
import type { Entry } from "../../sync/core/outbox"
import { baseRows } from "./base"
import { type Key, type Tables, inChunks, keyText, rowOf } from "./database"
import {
  type Changed,
  type Ground,
  type RowState,
  groupEntries,
  look,
  shownRow,
  statesOf,
} from "./ground"

/** isPending: something of it is not with the server yet. */
export interface ShownRow {
  readonly row: Row
  readonly isPending: boolean
}

/**
 * One change of what is shown. changed: ids of rows that may look different; "all": nothing was
 * shown before.
 */
export interface ViewChange {
  readonly rows: ReadonlyMap<string, ShownRow>
  readonly changed: ReadonlySet<string> | "all"
}

type Listener = (change: ViewChange) => void

interface Watched {
  rows: Map<string, ShownRow>
  readonly listener: Listener
}

// Rows that are read, and then rendered, at a time: no task holds the page up, though each of
// thousands looks different.
const PIECE = 200

/** Rows of the entities that somebody watches, in memory. */
export class RowsView {
  private readonly watched = new Map<string, Watched>()
  private waiting: Map<string, Key> | "all" = new Map()
  private isReading = false
  private isClosed = false

  /** failed: is told when the database could not be read. */
  constructor(
    private readonly ground: Ground,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Read an entity, and tell its listener now and whenever it looks different. */
  async watch(entity: string, listener: Listener): Promise<void> {
    this.watched.set(entity, { rows: new Map(), listener })
    await this.load(entity)
  }

  row(entity: string, id: string): Row | null {
    return this.watched.get(entity)?.rows.get(id)?.row ?? null
  }

  /** Some rows look different now. */
  notice(changed: Changed): void {
    if (changed === "all" || this.waiting === "all") {
      this.waiting = "all"
    } else {
      for (const key of changed) {
        if (this.watched.has(key[0])) this.waiting.set(keyText(key), key)
      }
    }
    if (!this.isReading) void this.readOn()
  }

  close(): void {
    this.isClosed = true
  }

  private async readOn(): Promise<void> {
    this.isReading = true
    try {
      while (!this.isClosed && (this.waiting === "all" || this.waiting.size > 0)) {
        if (this.waiting === "all") {
          this.waiting = new Map()
          for (const entity of this.watched.keys()) await this.load(entity)
        } else {
          await this.read(firstOf(this.waiting))
        }
      }
    } catch (error) {
      if (!this.isClosed) this.failed(error)
    } finally {
      this.isReading = false
    }
  }

  private async load(entity: string): Promise<void> {
    const rows = await look(this.ground, (_, db) => shownRows(db, entity))
    const watched = this.watched.get(entity)
    if (watched === undefined || this.isClosed) return
    const before = watched.rows
    watched.rows = rows
    if (before.size === 0) watched.listener({ rows, changed: "all" })
    else await this.showAgain(watched, new Set([...before.keys(), ...rows.keys()]))
  }

  private async showAgain({ rows, listener }: Watched, ids: ReadonlySet<string>): Promise<void> {
    for (const changed of inPieces([...ids])) {
      if (this.isClosed) return
      listener({ rows, changed: new Set(changed) })
      await oneTask()
    }
  }

  private async read(keys: readonly Key[]): Promise<void> {
    const states = await look(this.ground, (_, db) => statesOf(db, keys))
    if (this.isClosed) return
    const changed = new Map<string, Set<string>>()
    for (const state of states.values()) {
      const [entity, id] = state.key
      const rows = this.watched.get(entity)?.rows
      const shown = shownOf(state)
      if (shown === null) rows?.delete(id)
      else rows?.set(id, shown)
      changed.set(entity, (changed.get(entity) ?? new Set()).add(id))
    }
    for (const [entity, ids] of changed) {
      const watched = this.watched.get(entity)
      watched?.listener({ rows: watched.rows, changed: ids })
    }
  }
}

function* inPieces(ids: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < ids.length; at += PIECE) yield ids.slice(at, at + PIECE)
}

/** Let the page paint, and hear a key press. */
function oneTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve))
}

/** Take the first piece out of what waits. */
function firstOf(waiting: Map<string, Key>): readonly Key[] {
  const keys: Key[] = []
  for (const [text, key] of waiting) {
    if (keys.length === PIECE) break
    keys.push(key)
    waiting.delete(text)
  }
  return keys
}

function shownOf(state: RowState): ShownRow | null {
  const row = shownRow(state)
  if (!isHere(row) || row === null) return null
  return { row, isPending: state.entries.length > 0 || state.heal !== null }
}

/** All rows of an entity with the queue laid over them, without the deleted ones. */
export async function shownRows(db: Tables, entity: string): Promise<Map<string, ShownRow>> {
  const entries = await entriesOver(db, entity)
  const heals = new Map<string, Row>()
  for (const heal of await db.heal.where("isParked").equals(0).toArray()) {
    if (heal.entity === entity) heals.set(heal.id, rowOf(heal))
  }
  const shown = new Map<string, ShownRow>()
  const add = (id: string, base: Row | null, isKept: boolean) => {
    const key: Key = [entity, id]
    const own = entries.get(keyText(key)) ?? []
    const heal = heals.get(id) ?? null
    const rest = { isRevived: false, entries: own, hasRefused: false }
    const state: RowState = { key, base, isKept, heal, ...rest }
    const found = shownOf(state)
    if (found !== null) shown.set(id, found)
    entries.delete(keyText(key))
    heals.delete(id)
  }
  for await (const rows of baseRows(db, entity)) {
    for (const row of rows) add(row.id, rowOf(row), row.kept === 1)
  }
  const others = [...entries.values()].flatMap((own) => own[0]?.rowId ?? [])
  for (const id of [...others, ...heals.keys()]) add(id, null, false)
  return shown
}

async function entriesOver(db: Tables, entity: string): Promise<Map<string, Entry[]>> {
  const found: Entry[] = []
  for await (const entries of inChunks(db.outbox, (entry: Entry) => entry.local, 1_000)) {
    for (const entry of entries) {
      if (entry.entity === entity && entry.state !== "refused") found.push(entry)
    }
  }
  return groupEntries(found)
}
