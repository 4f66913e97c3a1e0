// One household that is open in this tab: its data, its connection, and what the stores show.

import type { Row } from "../sync/core/change"
import { isHere } from "../sync/core/change"
import type { Json, Role, Welcome } from "../sync/core/messages"
import { type Entry, wasNeverSent, writtenOf } from "../sync/core/outbox"
import { type StatusFacts, changesAtMs, isGreen, statusOf } from "../sync/status"
import { clockInWords } from "../sync/wrongClock"
import type {
  BlockedReason,
  DeviceItem,
  FailureReason,
  OverruledItem,
  ParkedItem,
  PendingItem,
  RefusedItem,
  Shown,
  StorageTrouble,
  SyncOutcome,
  SyncStatus,
} from "../types"
import type { ToldDevice } from "./api"
import { DataService, type Standing } from "./DataService"
import type { Trouble } from "./errors"
import type { EditPort, SyncPort } from "./ports"
import { type Picture, WebSocketService } from "./WebSocketService"

const LIST_MAX = 100
const REPAINT_MS = 40 // so that a burst of commits is looked at once
const REPAINT_MANY_MS = 600
const MANY = 1_000
const CLOCKS_APART_MS = 50

/** What the stores show of it. */
export interface Painted {
  readonly household: string
  readonly status: SyncStatus
  readonly picture: Picture
  readonly isLeader: boolean
  readonly lastSuccessMs: number | null
  readonly isLoaded: boolean
  readonly role: Role
  readonly pendingCount: number
  /** When the oldest change was made that only this device has, by its own clock; null: none. */
  readonly oldestMs: number | null
  /** Its clock minus the server's, as last measured. */
  readonly clockOffMs: number
  readonly pending: readonly PendingItem[]
  readonly refused: readonly RefusedItem[]
  readonly overruled: readonly OverruledItem[]
  readonly parked: readonly ParkedItem[]
}

/** What the rest of the app knows and hears of an open household. */
export interface Surroundings {
  readonly userId: () => string
  readonly isSignedOut: () => boolean
  readonly address: (household: string) => string
  readonly painted: (painted: Painted) => void
  readonly welcomed: (welcome: Welcome) => void
  readonly signedOut: () => void
  readonly isOwn: (user: string) => boolean
  readonly askSession: () => Promise<boolean>
  readonly householdMoved: (household: string) => void
  readonly devices: (household: string) => Promise<readonly ToldDevice[]>
  readonly nameOf: (user: string) => string | null
  readonly firstEdit: () => void
  readonly gone: () => void
}

export class OpenHousehold implements SyncPort, EditPort {
  private readonly socket: WebSocketService
  private standing: Standing
  private storage: StorageTrouble | null = null
  private isOutdated = false
  private edits = 0
  private editsSeen = 0 // those that the standing shows
  private busyMs: number | null = null
  private checkedMs = 0
  private lastGreenMs: number | null = null
  private repainting: ReturnType<typeof setTimeout> | null = null
  private turning: ReturnType<typeof setTimeout> | null = null
  private isLooking = false
  private looksAsked = 0
  private isOver = false
  private last: Painted | null = null

  private constructor(
    readonly data: DataService,
    private readonly around: Surroundings,
    standing: Standing,
  ) {
    this.standing = standing
    this.socket = new WebSocketService(data, around.address, {
      pictured: () => {
        this.paint()
        this.look()
      },
      signedOut: around.signedOut,
      welcomed: (welcome) => this.onWelcomed(welcome),
      householdMoved: around.householdMoved,
      mayConnect: () => this.mayConnect(),
    })
  }

  /** Open the data and begin to talk. Throws Trouble; see `DataService.open`. */
  static async open(
    name: string,
    birth: Parameters<typeof DataService.open>[1],
    around: Surroundings,
  ): Promise<OpenHousehold> {
    let opened: OpenHousehold | null = null
    const data = await DataService.open(name, birth, {
      committed: (isEdit) => opened?.onCommitted(isEdit),
      troubled: (error) => opened?.onTroubled(error),
    })
    opened = new OpenHousehold(data, around, await data.standing(LIST_MAX))
    return opened
  }

  /** Begin to talk to the server. */
  start(): void {
    this.socket.start()
  }

  /** Tell the stores again how things stand. */
  repaint(): void {
    this.paint()
  }

  async end(): Promise<void> {
    this.isOver = true
    for (const timer of [this.repainting, this.turning]) if (timer !== null) clearTimeout(timer)
    await this.socket.end()
    this.data.close()
  }

  /** Who is signed in has changed: begin the conversation anew. */
  async renew(): Promise<void> {
    await this.socket.renew()
  }

  // --- what its person does ----------------------------------------------------------------------

  create(entity: string, fields: Readonly<Record<string, Json>>): Promise<string> {
    return this.data.create(entity, fields)
  }

  edit(
    entity: string,
    id: string,
    fields: Readonly<Record<string, Json>>,
    shown?: Shown,
  ): Promise<boolean> {
    return this.data.edit(entity, id, fields, { shown })
  }

  editMany(
    entity: string,
    edits: ReadonlyMap<string, Readonly<Record<string, Json>>>,
  ): Promise<void> {
    return this.data.editMany(entity, edits)
  }

  shownOf(entity: string, id: string): Shown {
    return this.data.view.row(entity, id)?.stamps ?? {}
  }

  remove(entity: string, id: string): Promise<void> {
    return this.data.remove(entity, id)
  }

  restore(entity: string, id: string): Promise<void> {
    return this.data.restore(entity, id)
  }

  discard(local: number): Promise<void> {
    return this.data.discard(local)
  }

  async discardUnsendable(): Promise<void> {
    await this.data.discardUnsendable()
    await this.socket.renew() // perhaps as another device
  }

  editRefused(local: number, fields: Readonly<Record<string, Json>>): Promise<void> {
    return this.data.editAgain(local, fields)
  }

  useMine(conflictId: string): Promise<void> {
    return this.data.useMine(conflictId)
  }

  dismiss(conflictId: string): Promise<void> {
    return this.data.dismiss(conflictId)
  }

  async syncNow(): Promise<SyncOutcome> {
    const failed = this.cannotSync()
    if (failed !== null) return { kind: "failed", reason: failed }
    if (this.around.isSignedOut()) {
      // Perhaps signed in again in another tab.
      await this.around.askSession()
      if (this.around.isSignedOut()) return { kind: "failed", reason: "signed_out" }
    }
    try {
      return await this.socket.syncNow()
    } catch {
      return { kind: "failed", reason: this.cannotSync() ?? "no_answer" }
    } finally {
      await this.lookNow()
    }
  }

  private cannotSync(): FailureReason | null {
    if (this.storage !== null && this.storage !== "full") return "cannot_save"
    return this.isOutdated ? "update_needed" : null
  }

  async devices(): Promise<readonly DeviceItem[]> {
    const { device, household } = this.standing.meta
    const told = await this.around.devices(household)
    return told.map(({ id, name, user, isOnline, lastSyncMs }) => ({
      id,
      name,
      user,
      isOnline,
      lastSyncMs,
      isThisOne: id === device,
    }))
  }

  /** How things stand, for whoever helps: no names, no amounts. */
  diagnostics(): string {
    const { meta, counts, isHealing } = this.standing
    const picture = this.socket.picture()
    const told = {
      app: meta.app,
      at: new Date().toISOString(),
      status: this.last?.status,
      household: meta.household,
      device: meta.device,
      role: meta.role,
      version: meta.version,
      counts,
      conflicts: this.standing.conflicts.length,
      codes: [...this.standing.refused, ...this.standing.parked].map(({ code, field }) => [
        code,
        field,
      ]),
      readSeq: meta.readSeq,
      isWalking: meta.isWalking,
      isHealing,
      reset: meta.reset,
      nextNumber: meta.nextNumber,
      clock: clockInWords(-meta.offsetMs),
      clockOffsetMs: meta.offsetMs,
      formerIdentities: meta.formerNodes.length,
      isLeader: this.socket.isLeader,
      isOnline: navigator.onLine,
      picture,
      browser: navigator.userAgent,
    }
    return JSON.stringify(told, null, 2)
  }

  async exportData(): Promise<Blob> {
    const told = { household: this.standing.meta.household, ...(await this.data.everything()) }
    return new Blob([JSON.stringify(told, null, 2)], { type: "application/json" })
  }

  // --- what happens ------------------------------------------------------------------------------

  private onCommitted(isEdit: boolean): void {
    if (this.storage === "full") this.storage = null
    if (isEdit) {
      // Not green for a moment longer than the truth.
      this.edits++
      this.paint()
      void this.socket.edited()
      this.around.firstEdit()
    }
    this.look()
  }

  private onTroubled({ code }: Trouble): void {
    if (code === "newer_tab") this.isOutdated = true
    else this.storage = STORAGE[code] ?? "damaged"
    if (code === "storage_gone") this.around.gone()
    // Another tab may have the database anew, or newer: it must not wait for this one to be closed.
    if (code === "storage_gone" || code === "newer_tab") void this.socket.end()
    this.paint()
  }

  private async onWelcomed(welcome: Welcome): Promise<boolean> {
    const user = welcome.user ?? ""
    const { user: own } = await this.data.meta()
    // The database says whose it is, whoever is signed in by now.
    if (!this.around.isOwn(user) || (user !== "" && own !== "" && user !== own)) {
      this.around.signedOut()
      return false
    }
    if (user !== "" && own === "") await this.data.bindUser(user)
    this.around.welcomed(welcome)
    return true
  }

  /**
   * A household that was born here tells its name with the first frame: only once it is known who
   * is signed in.
   */
  private async mayConnect(): Promise<boolean> {
    if (this.around.isSignedOut()) return false
    const { meta } = this.standing
    if (meta.householdName === null) return true
    return (await this.around.askSession()) && !this.around.isSignedOut()
  }

  // --- painting ----------------------------------------------------------------------------------

  /** Look at the database again, soon. */
  private look(): void {
    if (this.isOver) return
    this.looksAsked++
    if (this.repainting !== null || this.isLooking) return
    const isMany = this.standing.counts.pending > MANY
    this.repainting = setTimeout(() => {
      this.repainting = null
      void this.lookNow()
    }, isMany ? REPAINT_MANY_MS : REPAINT_MS)
  }

  private async lookNow(): Promise<void> {
    if (this.isOver || this.isLooking) return
    this.isLooking = true
    const [edits, looksAsked] = [this.edits, this.looksAsked]
    try {
      this.standing = await this.data.standing(LIST_MAX)
      this.editsSeen = edits
    } catch {
      // The trouble has been told.
    } finally {
      this.isLooking = false
    }
    this.paint()
    if (this.looksAsked !== looksAsked) this.look()
  }

  /** Tell the stores how things stand now. */
  private paint(): void {
    if (this.isOver) return
    const picture = this.socket.picture()
    const facts = this.facts(picture)
    const { standing } = this
    if (isGreen(facts)) {
      this.lastGreenMs = facts.checkedMs
      void this.noteChecked()
    }
    this.last = {
      household: standing.meta.household,
      status: statusOf(facts),
      picture,
      isLeader: this.socket.isLeader,
      lastSuccessMs: this.lastGreenMs ?? standing.meta.checkedMs,
      isLoaded: facts.isLoaded,
      role: standing.meta.role,
      pendingCount: facts.pending,
      oldestMs: oldestOf(standing),
      clockOffMs: -standing.meta.offsetMs,
      pending: standing.pending.map((entry) => this.pendingItem(entry)),
      refused: standing.refused.map((entry) => this.refusedItem(entry)),
      overruled: this.overruled(),
      parked: this.parked(),
    }
    this.around.painted(this.last)
    this.turnLater(facts)
  }

  private facts(picture: Picture): StatusFacts {
    const { meta, counts, isHealing } = this.standing
    const nowMs = this.socket.nowMs()
    const wallMs = Date.now()
    const ago = (ms: number | null) => (ms === null ? null : nowMs - ms)
    const pending = Math.max(counts.pending, this.edits > this.editsSeen ? 1 : 0)
    const isBehind = meta.isWalking || meta.readSeq !== picture.head || !picture.isConfirmed
    const isBusy = picture.awayForMs === null && (pending > 0 || isBehind)
    this.busyMs = isBusy ? (this.busyMs ?? nowMs) : null
    this.checkedMs = heardAt(this.checkedMs, wallMs - (picture.heardAgoMs ?? 0))
    return {
      nowMs,
      storage: this.storage,
      outdatedBy: this.isOutdated ? "tab" : picture.reason === "upgrade_needed" ? "server" : null,
      isSignedOut: this.around.isSignedOut() || picture.reason === "sign_in",
      blocked: blockedBy(picture, meta.role),
      pending,
      parked: counts.parked,
      refused: counts.refused,
      overruled: this.standing.conflicts.filter((conflict) => conflict.isMine).length,
      isOnline: navigator.onLine,
      isFailing: picture.attempt >= 2,
      phase: picture.phase,
      retryAtMs: performance.now() + (picture.retryInMs ?? 0),
      isLoaded: isLoaded(this.standing),
      loadedPercent: percentOf(picture),
      isHealing: isHealing && meta.role !== "viewer",
      isWalking: meta.isWalking,
      isConfirmed: picture.isConfirmed,
      readSeq: meta.readSeq,
      head: picture.head,
      heardMs: ago(picture.heardAgoMs),
      awayMs: ago(picture.awayForMs),
      busyMs: this.busyMs,
      progressMs: this.progressMs(picture, nowMs, wallMs),
      asOfMs: this.lastGreenMs ?? meta.checkedMs,
      checkedMs: this.checkedMs,
    }
  }

  /** When something last got on: the server took something, or the oldest change was made. */
  private progressMs({ progressAgoMs }: Picture, nowMs: number, wallMs: number): number {
    const madeMs = this.standing.pending[0]?.madeMs
    const oldestAgoMs =
      madeMs === undefined ? 0 : Math.max(wallMs + this.standing.meta.offsetMs - madeMs, 0)
    return nowMs - Math.min(progressAgoMs, oldestAgoMs)
  }

  /** Paint again when time alone makes it another status. */
  private turnLater(facts: StatusFacts): void {
    if (this.turning !== null) clearTimeout(this.turning)
    this.turning = null
    const atMs = changesAtMs(facts)
    if (atMs === null) return
    this.turning = setTimeout(() => {
      this.turning = null
      this.paint()
    }, atMs - facts.nowMs + 1)
  }

  private async noteChecked(): Promise<void> {
    try {
      if (this.socket.isLeader) await this.data.noteChecked(Date.now())
    } catch {
      // Only when it was last up to date is not noted.
    }
  }

  // --- lists -------------------------------------------------------------------------------------

  private pendingItem(entry: Entry): PendingItem {
    return {
      ...this.place(entry),
      local: entry.local,
      kind: entry.kind,
      fields: Object.keys(entry.fields),
      madeMs: entry.madeMs,
      state: entry.state === "healing" ? "healing" : wasNeverSent(entry) ? "waiting" : "sent",
    }
  }

  private refusedItem(entry: Entry): RefusedItem {
    return {
      ...this.place(entry),
      local: entry.local,
      kind: entry.kind,
      code: entry.code,
      field: entry.field,
      message: entry.message,
      value: writtenOf(entry)[entry.field] ?? null,
      fields: entry.fields,
    }
  }

  private parked(): readonly ParkedItem[] {
    const { parked, parkedRows } = this.standing
    return [
      ...parked.map((entry) => ({
        ...this.place(entry),
        local: entry.local,
        fields: Object.keys(entry.fields),
      })),
      ...parkedRows.map(({ entity, id, fields }) => ({
        entity,
        rowId: id,
        label: textOf(fields["name"]),
        local: null,
        fields: Object.keys(fields),
      })),
    ]
  }

  private overruled(): readonly OverruledItem[] {
    const own = this.around.userId()
    return this.standing.conflicts
      .filter((conflict) => conflict.isMine)
      .map(({ id, entity, rowId, row, field, losingValue, winningValue, winningUser, atMs }) => ({
        id,
        entity,
        rowId,
        label: labelOf(row),
        field,
        mine: losingValue,
        theirs: winningValue,
        who: winningUser === null ? null : winningUser === own ? "" : this.around.nameOf(winningUser),
        atMs,
      }))
  }

  private place(entry: Entry): { entity: string; rowId: string; label: string } {
    const row = this.data.view.row(entry.entity, entry.rowId)
    return {
      entity: entry.entity,
      rowId: entry.rowId,
      label: (isHere(row) ? labelOf(row) : "") || textOf(entry.fields["name"]) || labelOf(row),
    }
  }
}

const STORAGE: Readonly<Record<string, StorageTrouble>> = {
  storage_full: "full",
  storage_blocked: "blocked",
  storage_gone: "gone",
  storage_damaged: "damaged",
}

const NOT_ALLOWED: Readonly<Record<string, BlockedReason>> = {
  not_yours: "not_yours",
  not_allowed: "not_yours",
  creation_limit: "creation_limit",
  email_unverified: "email_unverified",
}

function blockedBy({ reason, lastCode }: Picture, role: Role): BlockedReason | null {
  return NOT_ALLOWED[reason] ?? NOT_ALLOWED[lastCode] ?? (role === "viewer" ? "viewer" : null)
}

/** Refused and parked changes are nowhere else either. */
function oldestOf({ meta, pending, refused, parked }: Standing): number | null {
  const made = [...pending, ...refused, ...parked].map(({ madeMs }) => madeMs)
  return made.length === 0 ? null : Math.min(...made) - meta.offsetMs
}

/** When the server was heard: the two clocks that tell it are not read at once. */
function heardAt(before: number, nowMs: number): number {
  return Math.abs(nowMs - before) < CLOCKS_APART_MS ? before : Math.round(nowMs)
}

/** Whether there is something complete to show: a snapshot, or a household that was born here. */
function isLoaded({ meta }: Standing): boolean {
  if (meta.householdName !== null || meta.wasBornHere || meta.checkedMs !== null) return true
  return meta.cursor !== null && !meta.isWalking
}

function percentOf({ walk, provisioning }: Picture): number | null {
  if (walk !== null && walk.head > 0) return Math.floor((100 * Math.min(walk.to, walk.head)) / walk.head)
  if (provisioning !== null && provisioning.of > 0) {
    return Math.floor((100 * provisioning.step) / provisioning.of)
  }
  return null
}

function labelOf(row: Row | null): string {
  return textOf(row?.fields["name"])
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : ""
}
