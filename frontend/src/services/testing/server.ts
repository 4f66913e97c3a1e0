// A household's server as a device meets it: the protocol, small and in memory, on the same core.
// It decides as syncapp/engine.py does, but for compaction.

import { EXISTS, type Fields, type Row, valueAt, writtenBy } from "../../sync/core/change"
import { NO_STAMP, SERVER_NODE, later, msOf, newest, nextStamp, nodeOf } from "../../sync/core/clock"
import type { Entities } from "../../sync/core/entities"
import { canonicalFields } from "../../sync/core/entity"
import { rowToWire, wireToRow } from "../../sync/core/frames"
import { conflictId, decide, isSame, merge } from "../../sync/core/merge"
import type {
  Ack,
  Change,
  Changes,
  DownFrame,
  Hello,
  Json,
  RefusedRow,
  ResetReason,
  Result,
  Role,
  Rows,
  UpFrame,
} from "../../sync/core/messages"
import { put } from "../../sync/core/record"

const PAGE_ROWS = 5 // small, so that walks have many pages
const AHEAD_LIMIT_MS = 5_000
const END = "~" // behind every entity of a seq

interface Placed {
  readonly seq: number
  readonly row: Row
}

interface Fate {
  readonly stamp: string
  readonly content: string
  readonly result: Result
}

interface Device {
  readonly id: string
  readonly user: string
  readonly node: string
  formerNodes: readonly string[]
  lastNumber: number
  acknowledged: number
  fates: Map<number, Fate>
  reset: ResetReason | null
}

interface State {
  epoch: string
  seq: number
  newest: string
  rows: Map<string, Placed>
  prints: Map<number, string>
  devices: Map<string, Device>
}

interface Cursor {
  readonly epoch: string
  readonly at: readonly [seq: number, entity: string, id: string]
  readonly anchor: number
  readonly print: string
}

/** A conversation as the server sees it. */
export interface Peer {
  readonly user: string
  readonly send: (frame: DownFrame) => void
  readonly close: (code: number) => void
}

interface Session extends Peer {
  device: string
  role: Role
  cursor: Cursor | null
  hasPulled: boolean
  outstanding: Cursor | null
  hasNews: boolean
}

export class HouseholdServer {
  state: State
  /** How often a change had an effect, by its stamp and row. */
  readonly effects = new Map<string, number>()
  roles = new Map<string, Role>()
  version = "1"
  private readonly sessions = new Map<Peer, Session>()

  constructor(
    private readonly random: () => number,
    private readonly nowMs: () => number,
    public entities: Entities,
  ) {
    this.state = {
      epoch: this.token(),
      seq: 0,
      newest: NO_STAMP,
      rows: new Map(),
      prints: new Map([[0, this.token()]]),
      devices: new Map(),
    }
  }

  rows(): ReadonlyMap<string, Row> {
    return new Map([...this.state.rows].map(([key, { row }]) => [key, row]))
  }

  /** A copy, to be restored later. */
  backup(): State {
    const { rows, prints, devices } = this.state
    const copies = [...devices].map(([id, device]) => [
      id,
      { ...device, fates: new Map(device.fates) },
    ]) as [string, Device][]
    return { ...this.state, rows: new Map(rows), prints: new Map(prints), devices: new Map(copies) }
  }

  restore(backup: State): void {
    this.state = backup
    // What is taken from now on is told from what was taken before.
    this.effects.clear()
    this.closeAll(1012)
  }

  /** A new life of the household: everybody takes a snapshot. */
  renew(): void {
    this.state.epoch = this.token()
    this.closeAll(1012)
  }

  closeAll(code: number): void {
    for (const peer of [...this.sessions.keys()]) {
      this.left(peer)
      peer.close(code)
    }
  }

  left(peer: Peer): void {
    this.sessions.delete(peer)
  }

  take(peer: Peer, frame: UpFrame): void {
    if (frame.type === "hello") {
      this.greet(peer, frame)
      return
    }
    const session = this.sessions.get(peer)
    if (session === undefined) return
    switch (frame.type) {
      case "pull":
        this.pull(session, frame.cursor ?? null, frame.ask ?? false)
        return
      case "push":
        this.push(session, frame.changes, frame.acknowledged ?? 0)
        return
      case "rows":
        this.heal(session, frame)
        return
      case "ping":
        session.send({ type: "pong", timeMs: this.nowMs(), head: this.state.seq })
        return
      case "report":
    }
  }

  // --- hello -----------------------------------------------------------------------------------------

  private greet(peer: Peer, hello: Hello): void {
    const { state } = this
    const role = this.roles.get(peer.user) ?? "owner"
    const known = state.devices.get(hello.device)
    const owner = [...state.devices.values()].find((device) => device.node === hello.node)
    const isTaken =
      known === undefined
        ? owner !== undefined
        : known.user !== peer.user || known.node !== hello.node
    const welcome = {
      type: "welcome",
      timeMs: this.nowMs(),
      head: state.seq,
      role,
      version: this.version,
      entities: this.entities,
      limits: { batchRows: PAGE_ROWS, batchBytes: 4_000 },
      user: peer.user,
    } as const
    if (isTaken) {
      peer.send({ ...welcome, resume: false, identity: "taken" })
      peer.close(1012)
      return
    }
    const device: Device = known ?? {
      id: hello.device,
      user: peer.user,
      node: hello.node,
      formerNodes: [],
      lastNumber: 0,
      acknowledged: 0,
      fates: new Map(),
      reset: null,
    }
    device.formerNodes = hello.formerNodes ?? []
    const reason = this.resetReason(device, hello)
    if (reason !== null) {
      device.lastNumber = Math.max(device.lastNumber, hello.acknowledged ?? 0)
      device.reset = reason
    } else if (device.reset !== null && hello.reset === device.reset) {
      device.reset = null
    }
    state.devices.set(device.id, device)
    const session: Session = {
      ...peer,
      device: device.id,
      role,
      cursor: null,
      hasPulled: false,
      outstanding: null,
      hasNews: false,
    }
    this.sessions.set(peer, session)
    peer.send({
      ...welcome,
      resume: typeof hello.cursor === "string" && device.reset === null,
      reset: device.reset,
    })
  }

  private resetReason(device: Device, hello: Hello): ResetReason | null {
    let reason: ResetReason | null = null
    if (typeof hello.cursor === "string") reason = this.whyLost(read(hello.cursor))
    const isOfAnotherPast =
      (hello.acknowledged ?? 0) > device.lastNumber || this.isLost(hello.anchor ?? "")
    if (reason !== "operator" && isOfAnotherPast) reason = "restored"
    if (reason === null && device.reset !== null && hello.reset !== device.reset) {
      reason = device.reset
    }
    return reason === "horizon" && [device.reset, hello.reset].includes("restored")
      ? "restored"
      : reason
  }

  /** Whether an ack was given in another past. */
  private isLost(anchor: string): boolean {
    if (anchor === "") return false
    const [seq = "0", print = ""] = anchor.split(":")
    return this.state.prints.get(Number(seq)) !== print
  }

  private anchor(): { readonly head: number; readonly anchor: string } {
    const { seq, prints } = this.state
    return { head: seq, anchor: `${seq}:${prints.get(seq) ?? ""}` }
  }

  private whyLost(cursor: Cursor | null): ResetReason | null {
    const { epoch, seq, prints } = this.state
    if (cursor === null) return "horizon"
    if (cursor.epoch !== epoch) return "operator"
    if (cursor.anchor > seq || cursor.at[0] > seq) return "restored"
    return prints.get(cursor.anchor) === cursor.print ? null : "restored"
  }

  // --- reading ---------------------------------------------------------------------------------------

  private pull(session: Session, text: string | null, isAsked: boolean): void {
    const device = this.state.devices.get(session.device)
    if (device !== undefined) device.reset = null // the welcome was heard: it is noted
    const cursor = text === null ? this.start() : read(text)
    if (cursor === null || (text !== null && this.whyLost(cursor) !== null)) {
      this.sessions.delete([...this.sessions].find(([, each]) => each === session)?.[0] ?? session)
      session.close(1012)
      return
    }
    session.hasPulled = true
    session.cursor = cursor
    session.hasNews = false
    if (session.outstanding !== null && !isBefore(cursor.at, session.outstanding.at)) {
      session.outstanding = null
    }
    if (session.outstanding !== null && !isAsked) return
    const isBehind = this.behind(cursor).length > 0
    if (isAsked || isBehind) this.page(session, cursor)
  }

  private start(): Cursor {
    const { epoch } = this.state
    return { epoch, at: [0, END, ""], anchor: 0, print: this.state.prints.get(0) ?? "" }
  }

  private page(session: Session, cursor: Cursor): void {
    const { state } = this
    const waiting = this.behind(cursor)
    const page = waiting.slice(0, PAGE_ROWS)
    const more = page.length < waiting.length
    const last = page.at(-1)
    const at: Cursor["at"] =
      more && last !== undefined
        ? [last.seq, last.row.entity, last.row.id]
        : [state.seq, END, ""]
    const next: Cursor = {
      epoch: state.epoch,
      at,
      anchor: state.seq,
      print: state.prints.get(state.seq) ?? "",
    }
    const frame: Changes = {
      type: "changes",
      rows: page.map(({ row }) => rowToWire(row)),
      from: completeUpTo(cursor.at),
      to: completeUpTo(at),
      cursor: JSON.stringify(next),
      more,
      head: state.seq,
    }
    if (page.length > 0) session.outstanding = next
    session.send(frame)
  }

  private behind({ at }: Cursor): readonly Placed[] {
    return [...this.state.rows.values()]
      .filter(({ seq, row }) => isBefore(at, [seq, row.entity, row.id]))
      .sort((a, b) =>
        isBefore([a.seq, a.row.entity, a.row.id], [b.seq, b.row.entity, b.row.id]) ? -1 : 1,
      )
  }

  private announce(): void {
    for (const session of this.sessions.values()) {
      if (session.cursor === null || !session.hasPulled) continue
      if (session.outstanding === null) {
        this.page(session, session.cursor)
      } else if (!session.hasNews) {
        session.hasNews = true
        session.send({ type: "news", head: this.state.seq })
      }
    }
  }

  // --- writing ---------------------------------------------------------------------------------------

  private push(session: Session, changes: readonly Change[], acknowledged: number): void {
    const device = this.state.devices.get(session.device)
    if (session.role === "viewer" || device === undefined) {
      session.send({ type: "error", code: "forbidden", message: "Read only.", of: "push" })
      return
    }
    device.acknowledged = Math.max(device.acknowledged, Math.min(acknowledged, device.lastNumber))
    for (const number of device.fates.keys()) {
      if (number <= device.acknowledged) device.fates.delete(number)
    }
    const touched = new Map<string, Row>()
    const lost = new Set<string>() // rows whose create was refused in this push
    let isCopy = false // it has shown that it is one: the rest waits for its new identity
    const results = changes.map((change): Result => {
      if (isCopy) return { number: change.number, fate: "settled" }
      const result = this.decide(device, change, touched, lost)
      isCopy = result.fate === "settled" && change.number > acknowledged
      return result
    })
    this.commit(touched)
    session.send({ type: "ack", of: "push", results, ...this.anchor() } satisfies Ack)
    if (touched.size > 0) this.announce()
  }

  private decide(
    device: Device,
    change: Change,
    touched: Map<string, Row>,
    lost: Set<string>,
  ): Result {
    const { number, stamp } = change
    const content = JSON.stringify([change.entity, change.id, change.kind, change.fields ?? {}])
    const known = device.fates.get(number)
    if (known !== undefined) {
      const isRepeat = known.stamp === stamp && known.content === content
      return isRepeat ? known.result : { number, fate: "settled" }
    }
    if (number <= device.lastNumber) return { number, fate: "settled" }
    const result = this.apply(device, change, touched, lost)
    device.lastNumber = number
    device.fates.set(number, { stamp, content, result })
    return result
  }

  private apply(
    device: Device,
    change: Change,
    touched: Map<string, Row>,
    lost: Set<string>,
  ): Result {
    const { number, entity, id, kind, seen = {} } = change
    const key = `${entity}/${id}`
    const refuse = (code: string, field = ""): Result => {
      if (kind === "create") lost.add(key)
      return { number, fate: "refused", code, field, message: code }
    }
    const spec = this.entities[entity]
    if (spec === undefined) return refuse("unknown")
    const current = touched.get(key) ?? this.state.rows.get(key)?.row ?? null
    if (current === null && kind === "edit") return refuse(lost.has(key) ? "depends" : "row_missing")
    const checked = canonicalFields(spec, change.fields ?? {}, {
      isCreate: kind === "create" && current === null,
    })
    if (checked.refused !== null) return refuse(checked.refused.code, checked.refused.field ?? "")
    const { known, unknown } = checked.value
    if (known["name"] === "refuse me") return refuse("invalid", "name")
    const stamp = this.effective(change.stamp)
    const nodes = new Set([device.node, ...device.formerNodes])
    const done = decide(current, entity, id, writtenBy(kind, known), stamp, seen, nodes)
    for (const each of done.overruled) this.noteConflict(entity, id, each, touched)
    if (done.isChanged) {
      touched.set(key, done.row)
      for (const name of done.won) {
        if (current?.stamps[name] === stamp) continue
        const effect = `${key} ${name} ${change.stamp}`
        this.effects.set(effect, (this.effects.get(effect) ?? 0) + 1)
      }
    }
    this.state.newest = later(this.state.newest, stamp)
    return {
      number,
      fate: done.fate,
      ...(stamp === change.stamp ? {} : { stamp }),
      ...(done.lost.length === 0 ? {} : { lost: done.lost }),
      ...(unknown.length === 0 ? {} : { unknown }),
    }
  }

  private effective(stamp: string): string {
    if (msOf(stamp) <= this.nowMs() + AHEAD_LIMIT_MS) return stamp
    return nextStamp(this.state.newest, this.nowMs(), nodeOf(stamp))
  }

  private noteConflict(
    rowEntity: string,
    rowId: string,
    overruled: Parameters<typeof conflictId>[2],
    touched: Map<string, Row>,
  ): void {
    const id = conflictId(rowEntity, rowId, overruled)
    const key = `conflict/${id}`
    if (this.state.rows.has(key)) return
    const userOf = (stamp: string) =>
      [...this.state.devices.values()].find((device) => device.node === nodeOf(stamp))?.user ?? null
    const fields: Fields = {
      ...overruled,
      rowEntity,
      rowId,
      winningUser: userOf(overruled.winningStamp),
      losingUser: userOf(overruled.losingStamp),
      atMs: this.nowMs(),
      [EXISTS]: true,
    }
    const stamp = nextStamp(this.state.newest, this.nowMs(), SERVER_NODE)
    const stamps = Object.fromEntries(Object.keys(fields).map((name) => [name, stamp]))
    touched.set(key, { entity: "conflict", id, fields, stamps })
  }

  private heal(session: Session, { rows }: Rows): void {
    if (session.role === "viewer") {
      session.send({ type: "error", code: "forbidden", message: "Read only.", of: "rows" })
      return
    }
    const touched = new Map<string, Row>()
    const refusedRows: RefusedRow[] = []
    for (const wire of rows) {
      const row = wireToRow(wire)
      const key = `${row.entity}/${row.id}`
      const taken = this.takeable(row, refusedRows)
      if (taken === null) continue
      const current = touched.get(key) ?? this.state.rows.get(key)?.row ?? null
      const merged = merge(current, taken)
      if (!isSame(current, merged)) touched.set(key, merged)
      this.state.newest = later(this.state.newest, newest(Object.values(merged.stamps)))
    }
    this.commit(touched)
    session.send({ type: "ack", of: "rows", rows: rows.length, refusedRows, ...this.anchor() })
    if (touched.size > 0) this.announce()
  }

  private takeable(row: Row, refusedRows: RefusedRow[]): Row | null {
    const { entity, id } = row
    const spec = this.entities[entity]
    if (spec === undefined) {
      refusedRows.push({ entity, id, code: "unknown", message: "unknown" })
      return null
    }
    const fields: Record<string, Json> = {}
    const stamps: Record<string, string> = {}
    for (const [name, stamp] of Object.entries(row.stamps)) {
      if (name !== EXISTS && spec.fields[name] === undefined) {
        refusedRows.push({ entity, id, code: "unknown", message: "unknown", field: name })
        continue
      }
      put(fields, name, valueAt(row.fields, name))
      put(stamps, name, stamp)
    }
    return { entity, id, fields, stamps }
  }

  private commit(touched: ReadonlyMap<string, Row>): void {
    if (touched.size === 0) return
    const seq = ++this.state.seq
    this.state.prints.set(seq, this.token())
    for (const [key, row] of touched) this.state.rows.set(key, { seq, row })
  }

  private token(): string {
    return Math.floor(this.random() * 2 ** 48).toString(16)
  }
}

function read(text: string): Cursor | null {
  try {
    return JSON.parse(text) as Cursor
  } catch {
    return null
  }
}

function isBefore(a: Cursor["at"], b: Cursor["at"]): boolean {
  for (const n of [0, 1, 2] as const) if (a[n] !== b[n]) return a[n] < b[n]
  return false
}

/** The seq that is wholly read at this place. */
function completeUpTo([seq, entity]: Cursor["at"]): number {
  return entity === END ? seq : seq - 1
}
