// Devices with several tabs, a server, and a network that loses, cuts and delays: everything that
// happens is drawn from one seed. Afterwards comes quiet, and then all must be equal.

import Dexie from "dexie"

import { type Row, isHere } from "../../sync/core/change"
import type { Entities } from "../../sync/core/entities"
import type { DownFrame, UpFrame } from "../../sync/core/messages"
import { BUILT_IN } from "../../sync/entities"
import { DataService } from "../DataService"
import { Trouble } from "../errors"
import { Conversation } from "../socket/conversation"
import { HouseholdServer, type Peer } from "./server"
import { chanceOf, worldOf } from "./world"

const USER = "11111111-1111-4111-8111-111111111111"
const HOUSEHOLD = "22222222-2222-4222-8222-222222222222"
const START_MS = 1_800_000_000_000

/** A field that the server learns in the middle of the story. */
const LATER = "color"

interface Link {
  readonly generation: number
  readonly up: string[]
  readonly down: string[]
  readonly peer: Peer
}

interface Tab {
  readonly device: SimDevice
  data: DataService
  conversation: Conversation | null
  link: Link | null
}

interface SimDevice {
  readonly name: string
  readonly skewMs: number
  readonly tabs: Tab[]
}

export interface Story {
  readonly devices: number
  readonly steps: number
  /** Also: the server is restored from a backup, or begins a new life; devices are copied. */
  readonly isWild: boolean
}

export class Simulation {
  readonly chance: () => number
  readonly server: HouseholdServer
  readonly devices: SimDevice[] = []
  readonly told: string[] = []
  private nowMs = START_MS
  private isQuiet = false
  private hasRestored = false
  private backup: ReturnType<HouseholdServer["backup"]> | null = null
  /** What devices held when the server was restored: it must come back. */
  private readonly owed = new Map<string, Map<string, string>>()
  private readonly open = new Set<Promise<unknown>>()

  constructor(
    readonly seed: number,
    private readonly story: Story,
  ) {
    this.chance = chanceOf(seed)
    this.server = new HouseholdServer(this.chance, () => this.nowMs, serverEntities(false))
  }

  async run(): Promise<void> {
    for (let n = 0; n < this.story.devices; n++) {
      const skewMs = this.pick([0, 0, -3_600_000, 7_200_000, 300]) ?? 0
      const device: SimDevice = { name: `sim-${this.seed}-${n}`, skewMs, tabs: [] }
      this.devices.push(device)
      await this.openTab(device)
    }
    for (let n = 0; n < this.story.steps; n++) {
      this.begin(this.happening())
      // Some things happen at once, some one after the other.
      if (this.chance() < 0.6) await this.all()
    }
    await this.all()
    await this.calm()
    await this.check()
    await this.end()
  }

  // --- what happens --------------------------------------------------------------------------------

  private async happening(): Promise<void> {
    const tab = this.pick(this.devices.flatMap((device) => device.tabs))
    if (tab === undefined) return // all of them are just being opened again
    const dice = this.chance() * 100
    if (dice < 30) await this.edit(tab)
    else if (dice < 62) await this.carry(tab)
    else if (dice < 72) await this.pass(Math.floor(this.chance() ** 3 * 50_000))
    else if (dice < 77) await this.cut(tab)
    else if (dice < 82) await this.crash(tab)
    else if (dice < 86) await this.anotherTab(tab.device)
    else if (dice < 90) await this.decideSomething(tab)
    else if (dice < 92) this.learn()
    else if (this.story.isWild) await this.wild(tab.device)
  }

  private async wild(device: SimDevice): Promise<void> {
    const dice = this.chance()
    if (dice < 0.4) {
      this.backup ??= this.server.backup()
    } else if (dice < 0.7 && this.backup !== null) {
      const { backup } = this
      this.backup = null
      await this.remember()
      this.tell("the server is restored")
      this.server.restore(backup)
      this.hasRestored = true
    } else if (dice < 0.8) {
      this.tell("the household begins a new life")
      this.owed.clear()
      this.backup = null
      this.server.renew()
    } else if (this.devices.length < 5) {
      await this.copy(device)
    }
  }

  private async edit(tab: Tab): Promise<void> {
    const { data } = tab
    const dice = this.chance()
    const groups = [...(await this.rowsOf(tab, "account_group")).keys()]
    const accounts = [...(await this.rowsOf(tab, "account")).keys()]
    const id = this.pick(accounts)
    try {
      if (dice < 0.2) {
        await data.create("account_group", { name: this.word(), sortOrder: this.whole() })
      } else if (dice < 0.4 || id === undefined) {
        const fields = { name: this.word(), balance: this.amount() }
        await data.create("account", { ...fields, accountGroupId: this.pick(groups) ?? null })
      } else if (dice < 0.5) {
        await data.edit("account", id, { [LATER]: this.word() })
      } else if (dice < 0.75) {
        await data.edit("account", id, { balance: this.amount() })
      } else if (dice < 0.85) {
        await data.editMany("account", new Map(accounts.map((each, n) => [each, { sortOrder: n }])))
      } else {
        await data.remove("account", id)
        if (this.chance() < 0.4) await data.restore("account", id)
      }
    } catch (error) {
      this.forgive(error)
    }
    await tab.conversation?.take({ type: "edited" })
  }

  private async decideSomething(tab: Tab): Promise<void> {
    const { refused, conflicts } = await tab.data.standing(10)
    const [entry, conflict] = [this.pick(refused), this.pick(conflicts)]
    try {
      if (entry !== undefined && this.chance() < 0.5) await tab.data.discard(entry.local)
      else if (entry !== undefined) await tab.data.editAgain(entry.local, { name: "better" })
      else if (conflict !== undefined && this.chance() < 0.5) await tab.data.useMine(conflict.id)
      else if (conflict !== undefined) await tab.data.dismiss(conflict.id)
    } catch (error) {
      this.forgive(error)
    }
  }

  /** Carry the next frame of a tab's connection, in either direction. */
  private async carry({ conversation, link }: Tab): Promise<void> {
    if (conversation === null || link === null) return
    if (link.up.length > 0 && this.chance() < 0.5) {
      this.server.take(link.peer, JSON.parse(link.up.shift() ?? "") as UpFrame)
    } else if (link.down.length > 0) {
      await conversation.received(link.generation, link.down.shift() ?? "")
    }
  }

  private async cut(tab: Tab): Promise<void> {
    const { conversation, link } = tab
    if (conversation === null || link === null) return
    this.hangUp(tab)
    await conversation.closed(link.generation, 1006)
  }

  private async pass(ms: number): Promise<void> {
    this.nowMs += ms + 1
    for (const { conversation } of this.devices.flatMap((device) => device.tabs)) {
      const atMs = conversation?.wakeAt() ?? null
      if (atMs !== null && atMs <= this.nowMs) await conversation?.take({ type: "timer" })
    }
  }

  /** The tab ends between two transactions, whatever it was about; a new one is opened. */
  private async crash(tab: Tab): Promise<void> {
    tab.data.close()
    this.hangUp(tab)
    tab.conversation = null
    const { device } = tab
    device.tabs.splice(device.tabs.indexOf(tab), 1)
    await this.openTab(device)
  }

  private async anotherTab(device: SimDevice): Promise<void> {
    if (device.tabs.length < 3) await this.openTab(device)
  }

  private learn(): void {
    if (this.server.version !== "1") return
    this.tell("the server learns a field")
    this.server.version = "2"
    this.server.entities = serverEntities(true)
    this.server.closeAll(1012)
  }

  /** A copy of a device's database, as a restored phone has it. */
  private async copy(device: SimDevice): Promise<void> {
    const name = `sim-${this.seed}-${this.devices.length}`
    const [source, target] = [await openDexie(device.name), new Dexie(name)]
    target.version(1).stores(schemaOf(source))
    await target.open()
    const tables = source.tables.map((table) => table.name)
    const contents = await source.transaction("r", tables, () =>
      Promise.all(tables.map((table) => source.table(table).toArray())),
    )
    for (const [n, table] of tables.entries()) await target.table(table).bulkPut(contents[n] ?? [])
    source.close()
    target.close()
    const copied: SimDevice = { name, skewMs: device.skewMs, tabs: [] }
    this.devices.push(copied)
    this.tell(`${device.name} is copied to ${name}`)
    await this.openTab(copied)
  }

  // --- tabs ------------------------------------------------------------------------------------------

  private async openTab(device: SimDevice): Promise<void> {
    const birth = {
      user: USER,
      household: HOUSEHOLD,
      householdName: null,
      deviceName: device.name,
      app: "simulation",
    }
    const world = worldOf(this.chance, () => this.nowMs, device.skewMs)
    const nobody = { committed: () => undefined, troubled: () => undefined }
    // Newer than the server: it knows a field that the server learns later.
    const data = await DataService.open(device.name, birth, nobody, world, serverEntities(true))
    const tab: Tab = { device, data, conversation: null, link: null }
    device.tabs.push(tab)
    this.talk(tab)
  }

  private talk(tab: Tab): void {
    const conversation = new Conversation(
      tab.data,
      {
        connect: (generation) => { this.connect(tab, conversation, generation) },
        disconnect: (generation) => {
          if (tab.link?.generation === generation && tab.conversation === conversation) {
            this.hangUp(tab)
          }
        },
        send: (generation, text) => {
          if (tab.link?.generation === generation) tab.link.up.push(text)
        },
        moved: () => undefined,
        leaseLost: () => {
          if (tab.conversation !== conversation) return
          this.hangUp(tab)
          tab.conversation = null
        },
        householdMoved: () => undefined,
        welcomed: () => Promise.resolve(true),
      },
      () => this.nowMs,
    )
    tab.conversation = conversation
    this.begin(conversation.take({ type: "asked" }))
  }

  private connect(tab: Tab, conversation: Conversation, generation: number): void {
    if (tab.conversation !== conversation) return
    if (!this.isQuiet && this.chance() < 0.2) {
      this.begin(conversation.closed(generation, 1006))
      return
    }
    this.hangUp(tab)
    const link: Link = {
      generation,
      up: [],
      down: [],
      peer: {
        user: USER,
        send: (frame: DownFrame) => link.down.push(JSON.stringify(frame)),
        close: (code) => {
          if (tab.link !== link) return
          tab.link = null
          this.begin(conversation.closed(generation, code))
        },
      },
    }
    tab.link = link
    this.begin(conversation.take({ type: "opened", generation }))
  }

  private hangUp(tab: Tab): void {
    if (tab.link !== null) this.server.left(tab.link.peer)
    tab.link = null
  }

  // --- quiet, and the end ------------------------------------------------------------------------

  /** No more edits, losses or crashes: everybody comes to rest. */
  private async calm(): Promise<void> {
    this.isQuiet = true
    this.learn()
    for (const device of this.devices) {
      for (const tab of device.tabs.slice(1)) {
        tab.data.close()
        this.hangUp(tab)
      }
      device.tabs.splice(1)
      await this.all()
      const [tab] = device.tabs
      if (tab?.conversation === null) this.talk(tab)
    }
    for (let round = 0; round < 400; round++) {
      await this.all()
      for (const tab of this.devices.flatMap((device) => device.tabs)) {
        if (tab.conversation === null) this.talk(tab)
        while (tab.link !== null && (tab.link.up.length > 0 || tab.link.down.length > 0)) {
          const { link } = tab
          const up = link.up.shift()
          if (up !== undefined) this.server.take(link.peer, JSON.parse(up) as UpFrame)
          const down = link.down.shift()
          if (down !== undefined) await tab.conversation?.received(link.generation, down)
          await this.all()
        }
      }
      if (await this.isAtRest()) return
      await this.pass(2_000)
    }
    throw this.failure("did not come to rest")
  }

  private async isAtRest(): Promise<boolean> {
    for (const { data, conversation, link } of this.devices.flatMap((device) => device.tabs)) {
      const { meta, counts, isHealing } = await data.standing(1)
      if (conversation?.session.phase !== "idle" || link === null) return false
      if (counts.pending > 0 || isHealing || meta.isWalking) return false
      if (meta.readSeq !== this.server.state.seq || link.down.length > 0) return false
    }
    return true
  }

  private async check(): Promise<void> {
    const held = this.server.rows()
    for (const { name, tabs } of this.devices) {
      for (const tab of tabs) {
        for (const entity of ["account", "account_group", "conflict"]) {
          const expected = [...held.values()].filter((row) => row.entity === entity && isHere(row))
          const shown = await this.rowsOf(tab, entity)
          this.demand(
            text(expected) === text([...shown.values()]),
            `${name} shows another ${entity}:\n${text([...shown.values()])}\n${text(expected)}`,
          )
        }
        const { counts, refused } = await tab.data.standing(10)
        this.demand(counts.parked === 0, `${name} has parked something that the server knows`)
        for (const { code } of refused) {
          const isExpected = ["invalid", "row_missing", "depends"].includes(code)
          this.demand(isExpected, `${name} was refused: ${code}`)
        }
      }
    }
    if (!this.hasRestored) {
      for (const [effect, times] of this.server.effects) {
        this.demand(times === 1, `${effect} had an effect ${times} times`)
      }
    }
    for (const [key, stamps] of this.owed) {
      for (const [name, stamp] of stamps) {
        const found = held.get(key)?.stamps[name] ?? ""
        this.demand(found >= stamp, `${key} ${name} was lost in the restore: ${stamp} > ${found}`)
      }
    }
  }

  private async end(): Promise<void> {
    for (const { name, tabs } of this.devices) {
      for (const { data } of tabs) data.close()
      await Dexie.delete(name)
    }
  }

  /** What devices hold of the server's before it loses it. */
  private async remember(): Promise<void> {
    for (const device of this.devices) {
      const source = await openDexie(device.name)
      const rows = await source.table("base").toArray()
      const note: unknown = await source.table("notes").get("device")
      source.close()
      const meta = (note as { value: { reset: string | null } } | undefined)?.value
      if (meta === undefined || meta.reset === "operator") continue
      for (const { entity, id, fields, stamp, stamps = {}, kept } of rows as StoredAt[]) {
        if (entity === "conflict" || kept === 1) continue
        const owed = this.owed.get(`${entity}/${id}`) ?? new Map<string, string>()
        for (const name of Object.keys(fields)) {
          const found = stamps[name] ?? stamp
          if (found > (owed.get(name) ?? "")) owed.set(name, found)
        }
        this.owed.set(`${entity}/${id}`, owed)
      }
    }
  }

  // --- small things ----------------------------------------------------------------------------------

  async rowsOf(tab: Tab, entity: string): Promise<ReadonlyMap<string, Row>> {
    const rows = await tab.data.rows(entity).catch((error: unknown) => {
      this.forgive(error)
      return new Map<string, Row>()
    })
    return rows
  }

  private begin(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work
      .catch((error: unknown) => {
        this.forgive(error)
      })
      .finally(() => this.open.delete(tracked))
    this.open.add(tracked)
  }

  /** What a crash or a row that is gone meanwhile answers is no failure. */
  private forgive(error: unknown): void {
    if (error instanceof Trouble) return
    throw this.failure(String(error instanceof Error ? error.stack : error))
  }

  private async all(): Promise<void> {
    while (this.open.size > 0) await Promise.all(this.open)
  }

  private demand(holds: boolean, otherwise: string): void {
    if (!holds) throw this.failure(otherwise)
  }

  private failure(why: string): Error {
    return new Error(`SEED ${this.seed}: ${why}\n${this.told.join("\n")}`)
  }

  private tell(line: string): void {
    this.told.push(line)
  }

  private pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.chance() * items.length)]
  }

  private word(): string {
    return this.pick(["Giro", "Bank", "Bar", "Depot", "Urlaub", "refuse me"]) ?? ""
  }

  private amount(): string {
    return String(Math.floor(this.chance() * 100))
  }

  private whole(): number {
    return Math.floor(this.chance() * 10)
  }
}

interface StoredAt {
  readonly entity: string
  readonly id: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly stamp: string
  readonly stamps?: Readonly<Record<string, string>>
  readonly kept?: 1
}

function text(rows: readonly Row[]): string {
  const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1))
  const entries = (record: object) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted
    .map(({ id, fields, stamps }) => JSON.stringify([id, entries(fields), entries(stamps)]))
    .join("\n")
}

function serverEntities(knowsLater: boolean): Entities {
  const { account, account_group } = BUILT_IN
  if (account === undefined || account_group === undefined) throw new Error("no entities")
  const note = account.fields["note"]
  if (note === undefined) throw new Error("no field")
  const later = knowsLater ? { [LATER]: note } : {}
  return { account_group, account: { ...account, fields: { ...account.fields, ...later } } }
}

async function openDexie(name: string): Promise<Dexie> {
  return new Dexie(name).open()
}

function schemaOf(database: Dexie): Record<string, string> {
  return Object.fromEntries(
    database.tables.map((table) => [
      table.name,
      [table.schema.primKey, ...table.schema.indexes].map((index) => index.src).join(","),
    ]),
  )
}
