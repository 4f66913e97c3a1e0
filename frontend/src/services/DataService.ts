// What this device keeps of one household: rows, queue, and what every frame does to them.
//
//     data/database.ts  the tables of IndexedDB, and its errors in words
//     data/ground.ts    transactions, the clock, who we are, the rows as their person sees them
//     data/editing.ts   create, edit, delete
//     data/hearing.ts   welcome and changes: what the server says
//     data/settling.ts  ack: what became of what was sent
//     data/identity.ts  copies of a database, and households whose id is taken
//     data/sending.ts   hello, pull, push, rows, ping, report: what the device says
//     data/review.ts    refusals and conflicts: what needs a person
//     data/view.ts      the rows in memory, kept up with every commit of any tab
//
// Tabs share the database. Each commit is told to the others, with the revision that it came to;
// who finds that he missed one reads everything again.

import Dexie from "dexie"

import type { Fields, Row, Stamps } from "../sync/core/change"
import type { Ack, Changes, Role, UpFrame, Welcome } from "../sync/core/messages"
import type { Entities } from "../sync/core/entities"
import type { Entry } from "../sync/core/outbox"
import type { Facts } from "../sync/core/session"
import { BUILT_IN } from "../sync/entities"
import { Trouble, trouble } from "./errors"
import { type HealRow, ReplicaDatabase, inWords } from "./data/database"
import * as editing from "./data/editing"
import { type Changed, type Ground, entitiesOf, look, newGround, putMeta, write } from "./data/ground"
import { entriesIn, hasHealRows, parkedRows } from "./data/heal"
import * as hearing from "./data/hearing"
import * as identity from "./data/identity"
import { DEVICE, type Meta } from "./data/notes"
import * as review from "./data/review"
import * as sending from "./data/sending"
import * as settling from "./data/settling"
import { RowsView, shownRows } from "./data/view"
import { MACHINE, type World, newId, newNode } from "./data/world"

/** Who a new database belongs to. householdName: only of a household that is born here. */
export interface Birth {
  readonly user: string
  readonly household: string
  readonly householdName: string | null
  readonly deviceName: string
  readonly app: string
  readonly role?: Role
}

/** How far this device is. pending: the oldest that are not decided. */
export interface Standing {
  readonly meta: Meta
  readonly counts: sending.Counts
  readonly isHealing: boolean
  readonly pending: readonly Entry[]
  readonly refused: readonly Entry[]
  readonly parked: readonly Entry[]
  readonly parkedRows: readonly HealRow[]
  readonly conflicts: readonly review.OpenConflict[]
}

/** What other parts of the page want to know. */
export interface DataEvents {
  /** Something was committed, here or in another tab. isEdit: the queue has a new entry. */
  readonly committed: (isEdit: boolean) => void
  /** The database cannot be used any more in this tab. */
  readonly troubled: (trouble: Trouble) => void
}

interface Told {
  readonly changed: Changed
  readonly revision: number
  readonly isEdit: boolean
}

export class DataService {
  readonly view: RowsView
  private readonly ground: Ground
  private readonly channel: BroadcastChannel | null
  private revision = 0
  private readonly missing = new Set<number>() // revisions that nobody has told yet
  private lastTrouble: Trouble | null = null
  private isClosed = false

  private constructor(
    private readonly database: ReplicaDatabase,
    private readonly events: DataEvents,
    world: World,
    builtIn: Entities,
  ) {
    this.ground = newGround(database, world, builtIn, (changed, revision, isEdit) => {
      if (this.isClosed) return // what was still on its way is durable; others read it
      this.channel?.postMessage({ changed, revision, isEdit } satisfies Told)
      this.hear({ changed, revision, isEdit })
    })
    this.view = new RowsView(this.ground, (error) => {
      this.fail(error)
    })
    this.channel = openChannel(`${database.name}/rows`)
    this.channel?.addEventListener("message", (event: MessageEvent<Told>) => {
      if (!this.isClosed) this.hear(event.data)
    })
    database.on("versionchange", (event) => {
      const isDeleted = event.newVersion === null
      this.fail(trouble(isDeleted ? "storage_gone" : "newer_tab"))
      return false // and not Dexie's own answer, which would open it again at the next access
    })
    database.on("close", () => {
      this.fail(trouble("storage_gone", "The browser has closed the database."))
    })
  }

  /**
   * Open the database of this name; birth: make it, if nobody has. Throws Trouble: storage_gone
   * if it should be there and is not.
   */
  static async open(
    name: string,
    birth: Birth | null,
    events: DataEvents,
    world: World = MACHINE,
    builtIn: Entities = BUILT_IN,
  ): Promise<DataService> {
    const database = new ReplicaDatabase(name)
    try {
      // Opening would make it.
      const isThere = birth !== null || (await Dexie.exists(name))
      if (!isThere) throw trouble("storage_gone", "What was kept here has been deleted.")
      await database.openOwn()
      await database.within("rw", async (db) => {
        if ((await db.notes.get(DEVICE)) !== undefined) return
        if (birth === null) throw trouble("storage_gone", "What was kept here has been deleted.")
        await putMeta(db, newMeta(birth, world))
      })
    } catch (error) {
      database.close()
      throw inWords(error)
    }
    const service = new DataService(database, events, world, builtIn)
    service.revision = (await service.meta()).revision
    return service
  }

  get name(): string {
    return this.database.name
  }

  get world(): World {
    return this.ground.world
  }

  close(): void {
    this.isClosed = true
    this.view.close()
    this.channel?.close()
    this.database.close()
  }

  // --- what its person does ----------------------------------------------------------------------

  create(entity: string, fields: Fields, id?: string): Promise<string> {
    return this.safely(() => editing.create(this.ground, entity, fields, id))
  }

  createMany(entity: string, rows: readonly Fields[]): Promise<readonly string[]> {
    return this.safely(() => editing.createMany(this.ground, entity, rows))
  }

  edit(entity: string, id: string, fields: Fields, options?: editing.EditOptions) {
    return this.safely(() => editing.edit(this.ground, entity, id, fields, options))
  }

  editMany(entity: string, edits: ReadonlyMap<string, Fields>): Promise<void> {
    return this.safely(() => editing.editMany(this.ground, entity, edits))
  }

  remove(entity: string, id: string, shown?: Stamps): Promise<void> {
    return this.safely(() => editing.remove(this.ground, entity, id, shown))
  }

  async restore(entity: string, id: string): Promise<void> {
    await this.edit(entity, id, {}, { revives: true })
  }

  discard(local: number): Promise<void> {
    return this.safely(() => review.discard(this.ground, local))
  }

  discardUnsendable(): Promise<void> {
    return this.safely(() => review.discardUnsendable(this.ground))
  }

  editAgain(local: number, fields: Fields): Promise<void> {
    return this.safely(() => review.editAgain(this.ground, local, fields))
  }

  useMine(conflictId: string): Promise<void> {
    return this.safely(() => review.useMine(this.ground, conflictId))
  }

  dismiss(conflictId: string): Promise<void> {
    return this.safely(() => review.dismiss(this.ground, conflictId))
  }

  // --- what the server says ------------------------------------------------------------------------

  onWelcome(welcome: Welcome): Promise<boolean> {
    return this.safely(() => hearing.onWelcome(this.ground, welcome))
  }

  onChanges(changes: Changes): Promise<"stored" | "gap" | "known"> {
    return this.safely(() => hearing.onChanges(this.ground, changes))
  }

  onAck(ack: Ack): Promise<boolean> {
    return this.safely(() => settling.onAck(this.ground, ack))
  }

  onTime(serverMs: number): Promise<void> {
    return this.safely(() => hearing.onTime(this.ground, serverMs))
  }

  /** The server has said that this person may only look: sooner than the next welcome would. */
  onForbidden(): Promise<void> {
    return this.safely(() =>
      write(
        this.ground,
        ({ meta }) => {
          meta.role = "viewer"
          return Promise.resolve()
        },
        { asSender: true },
      ),
    )
  }

  moveHousehold(): Promise<string | null> {
    return this.safely(() => identity.moveHousehold(this.ground))
  }

  // --- what this device says -----------------------------------------------------------------------

  takeLease(): Promise<void> {
    return this.safely(() => sending.takeLease(this.ground))
  }

  facts(): Promise<Facts> {
    return this.safely(() => sending.factsOf(this.ground))
  }

  hello(): Promise<UpFrame> {
    return this.safely(() => sending.hello(this.ground))
  }

  pull(ask: boolean): Promise<UpFrame> {
    return this.safely(() => sending.pull(this.ground, ask))
  }

  push(): Promise<UpFrame> {
    return this.safely(() => sending.push(this.ground))
  }

  rowsToHeal(): Promise<UpFrame> {
    return this.safely(() => sending.rowsToHeal(this.ground))
  }

  ping(): Promise<UpFrame> {
    return this.safely(() => sending.ping(this.ground))
  }

  report(id: string, outcome: "done" | "pending" | "failed"): Promise<UpFrame> {
    return this.safely(() => sending.report(this.ground, id, outcome))
  }

  /** Changes that were answered and rows that were read since the page was opened. */
  get traffic(): { readonly sent: number; readonly received: number } {
    return { sent: this.ground.sent, received: this.ground.received }
  }

  /**
   * What was on its way did not get through: the next frames, both ways, are much smaller, or the
   * same one would be tried for ever where the network is slow. isLimit: somebody on the way takes
   * no larger ones; then they stay so.
   */
  carryLess(isLimit = false): void {
    const { ground } = this
    ground.portion = Math.max(ground.portion / (isLimit ? 2 : 4), PORTION_MIN)
    if (isLimit) ground.portionMax = ground.portion
  }

  /** Something got through: the next may be larger again. */
  carryMore(): void {
    const { ground } = this
    ground.portion = Math.min(ground.portion * PORTION_GROWTH, ground.portionMax)
  }

  // --- how it stands ---------------------------------------------------------------------------------

  meta(): Promise<Meta> {
    return this.safely(() => look(this.ground, (meta) => Promise.resolve(meta)))
  }

  async entities(): Promise<Entities> {
    await this.meta()
    return entitiesOf(this.ground)
  }

  /** The rows of an entity as their person sees them, without the deleted ones, by id. */
  rows(entity: string): Promise<ReadonlyMap<string, Row>> {
    return this.safely(() =>
      look(this.ground, async (_, db) => {
        const shown = await shownRows(db, entity)
        return new Map([...shown].map(([id, { row }]) => [id, row]))
      }),
    )
  }

  /** Note that it was up to date; only now and then, because it is a write. */
  noteChecked(atMs: number): Promise<void> {
    return this.safely(() =>
      write(this.ground, (writing) => {
        // Also noted when the wall clock was set back: nobody is told a time that is still to come.
        writing.isIdle = Math.abs(atMs - (writing.meta.checkedMs ?? 0)) < CHECKED_STEP_MS
        writing.meta.checkedMs = atMs
        return Promise.resolve()
      }),
    )
  }

  /** A replica that nobody has signed in for yet belongs to this person now. */
  bindUser(user: string): Promise<void> {
    return this.safely(() =>
      write(this.ground, ({ meta }) => {
        if (meta.user === "") meta.user = user
        return Promise.resolve()
      }),
    )
  }

  /** Another name for a household that no server has acknowledged yet. False: one has. */
  renameBornHere(name: string): Promise<boolean> {
    return this.safely(() =>
      write(this.ground, ({ meta }) => {
        const isBornHere = meta.householdName !== null
        if (isBornHere) meta.householdName = name
        return Promise.resolve(isBornHere)
      }),
    )
  }

  /** All that says how far this device is, in one snapshot. limit: of the lists. */
  standing(limit: number): Promise<Standing> {
    return this.safely(() =>
      look(this.ground, async (meta, db) => {
        // All asked at once: an edit that comes meanwhile waits for the answers.
        const [counts, hasHealing, open, healing, refused, parked, rows, conflicts] =
          await Promise.all([
            sending.countsOf(db),
            hasHealRows(db),
            entriesIn(db, "open", limit),
            entriesIn(db, "healing", limit),
            entriesIn(db, "refused"),
            entriesIn(db, "parked", limit),
            parkedRows(db),
            review.openConflicts(db, meta),
          ])
        return {
          meta,
          counts,
          isHealing: meta.isHealOpen || hasHealing,
          pending: [...open, ...healing].sort((a, b) => a.local - b.local).slice(0, limit),
          refused,
          parked,
          parkedRows: rows,
          conflicts,
        }
      }),
    )
  }

  /** Everything that is kept, for an export: the rows as they are shown, and the queue. */
  everything(): Promise<Readonly<Record<string, readonly unknown[]>>> {
    return this.safely(() =>
      look(this.ground, async (_, db) => ({
        base: await db.base.toArray(),
        heal: await db.heal.toArray(),
        outbox: await db.outbox.toArray(),
      })),
    )
  }

  // --- between tabs ------------------------------------------------------------------------------------

  /** Other tabs may have written while this one was frozen: look whether anything was missed. */
  async catchUp(): Promise<void> {
    const { revision } = await this.meta()
    if (revision === this.revision) return
    this.revision = revision
    this.view.notice("all")
    this.events.committed(false)
  }

  private hear({ changed, revision, isEdit }: Told): void {
    this.missing.delete(revision)
    const skipped = revision - this.revision - 1
    this.revision = Math.max(this.revision, revision)
    this.view.notice(skipped > 1 ? "all" : changed)
    this.events.committed(isEdit)
    if (skipped !== 1) return
    // The words of two tabs may have crossed: the other one's is on its way.
    this.missing.add(revision - 1)
    setTimeout(() => {
      if (this.missing.delete(revision - 1) && !this.isClosed) this.view.notice("all")
    }, CROSSING_MS)
  }

  /** Run something on the database, unless that is gone; tell everybody when it is. */
  private async safely<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.lastTrouble !== null) throw this.lastTrouble
    try {
      return await work()
    } catch (error) {
      throw this.fail(error)
    }
  }

  private fail(error: unknown): unknown {
    const found = inWords(error)
    if (!(found instanceof Trouble) || this.isClosed || this.lastTrouble !== null) return found
    if (FINAL.has(found.code)) {
      this.lastTrouble = found
      // Not opened again by the next look: that would make an empty database.
      this.view.close()
      this.database.close()
    }
    if (found.code.startsWith("storage_") || found.code === "newer_tab") this.events.troubled(found)
    return found
  }
}

const FINAL: ReadonlySet<string> = new Set(["storage_gone", "newer_tab"])
const PORTION_MIN = 1e-6 // one row, whatever its size
const PORTION_GROWTH = 1.25 // slower than it shrinks: what fits is found, and kept
const CHECKED_STEP_MS = 15_000
const CROSSING_MS = 200

function newMeta(birth: Birth, world: World): Meta {
  return {
    user: birth.user,
    household: birth.household,
    householdName: birth.householdName,
    device: newId(world),
    node: newNode(world),
    formerNodes: [],
    name: birth.deviceName,
    app: birth.app,
    clock: "",
    offsetMs: 0,
    offsetSamples: [],
    nextNumber: 1,
    cursor: null,
    readSeq: 0,
    isWalking: false,
    reset: null,
    anchor: "",
    isHealOpen: false,
    role: birth.role ?? "owner",
    version: "",
    lease: "",
    revision: 0,
    checkedMs: null,
  }
}

export function openChannel(name: string): BroadcastChannel | null {
  return typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(name)
}
