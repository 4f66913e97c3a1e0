// The households of a person on this device: those that the server told, those that were born
// here, and which one is open in this tab.

import Dexie from "dexie"

import type { Evicted, Household, Role } from "../types"
import { type KnownDevice, type ToldDevice, getDevices, postDevice, postName } from "./api"
import { MACHINE, label, newId } from "./data/world"
import { DataService } from "./DataService"
import { Errands, type Waiting } from "./Errands"
import { Trouble, trouble } from "./errors"
import { OpenHousehold, type Painted, type Surroundings } from "./OpenHousehold"
import type { HouseholdPort } from "./ports"
import type { Mark, Registry, Replica, ToldHousehold } from "./registry"

const APP = "finwise-web"

/** What of `Surroundings` comes from outside of this service. */
type Outside = Pick<
  Surroundings,
  "userId" | "isSignedOut" | "painted" | "signedOut" | "isOwn" | "askSession" | "firstEdit"
>

export interface TenantEvents extends Outside {
  readonly listed: (households: readonly Household[], currentId: string | null) => void
  /** Another household is open now (null: none): watch its rows. */
  readonly opened: (household: OpenHousehold | null) => Promise<void>
  /** What was kept of a household has been deleted by the browser. */
  readonly evicted: (evicted: Evicted) => void
  /** Somebody else is here now; so many changes of the one before wait on this device. */
  readonly leftBehind: (pending: number) => void
  readonly csrfToken: () => string
}

export class TenantService implements HouseholdPort {
  open: OpenHousehold | null = null
  private currentId: string | null = null
  private openFor = "" // whose households these are
  private wanted: string | null = null // by the address that the page was opened with
  private replicas: readonly Replica[] = []
  private told: readonly ToldHousehold[] = []
  private known: readonly KnownDevice[] = []
  private removed: readonly string[] = [] // households that their person has taken off this device
  private readonly lost = new Map<string, string>() // households that were here, by id: their names
  private pendingHere = 0
  private readonly elsewhere = new Map<string, Waiting>() // by household
  private people: Readonly<Record<string, string>> = {}
  private turning: Promise<void> = Promise.resolve()

  private readonly errands = new Errands({
    open: (replica, painted) =>
      OpenHousehold.open(databaseName(replica.id), null, this.aroundElsewhere(replica, painted)),
    counted: (household, waiting) => {
      this.elsewhere.set(household, waiting)
      this.tell()
    },
  })

  constructor(
    private readonly registry: Registry,
    private readonly events: TenantEvents,
  ) {}

  /** What was kept of a household is gone: said at once, and more when the server can be asked. */
  lose({ household, name }: Mark): void {
    this.lost.set(household, name)
    this.events.evicted({ household: name, pending: null, heardMs: null })
  }

  /** What is known of this person's households, without the server. Opens the last one. */
  async recall(wanted: string | null): Promise<void> {
    const user = this.events.userId()
    this.openFor = user
    this.wanted = wanted
    this.replicas = await this.registry.replicasOf(user)
    this.removed = await this.registry.removed(user)
    this.told = await this.registry.toldHouseholds(user)
    const last = await this.registry.lastHousehold(user)
    const ids = this.list().map(({ id }) => id)
    const shown = ids.filter((each) => !this.removed.includes(each))
    const id = ids.find((each) => each === wanted) ?? shown.find((each) => each === last) ?? shown[0]
    this.tell()
    if (id !== undefined) await this.switchTo(id)
  }

  /** The server has told which households there are, and which devices this browser was. */
  async hear(told: readonly ToldHousehold[], known: readonly KnownDevice[] = []): Promise<void> {
    const user = this.events.userId()
    if (this.openFor !== user && this.openFor !== "") {
      // Somebody else is here now: what was open belongs to another person, and stays his.
      const pending = this.list().reduce((sum, each) => sum + each.pending, 0)
      if (pending > 0) this.events.leftBehind(pending)
      await this.close()
      await this.recall(null)
    }
    this.openFor = user
    this.told = told
    for (const replica of await this.registry.replicasOf(user)) {
      const name = told.find((each) => each.id === replica.household)?.name ?? replica.name
      // What was made before anybody had signed in belongs to who does so first.
      const isNobodys = replica.user === ""
      if (isNobodys || name !== replica.name) await this.registry.put({ ...replica, user, name })
    }
    this.replicas = await this.registry.replicasOf(user)
    this.removed = await this.registry.removed(user)
    // Another tab may have moved what is open here to a fresh id.
    const shown = this.replicas.find((each) => databaseName(each.id) === this.open?.data.name)
    if (shown !== undefined) this.currentId = shown.household
    this.known = known
    this.missDevices()
    this.tell()
    const offered = this.list().filter(({ id }) => !this.removed.includes(id))
    const first = offered.find(({ id }) => id === this.wanted) ?? offered[0]
    if (this.currentId === null && first !== undefined) await this.switchTo(first.id)
    else this.sendElsewhere()
    if (this.open !== null) void this.beRemembered(this.open)
  }

  /** A device that the server remembers, and of which nothing is here, was deleted by the browser. */
  private missDevices(): void {
    for (const { household, device } of this.known) {
      const told = this.told.find((each) => each.id === household)
      const isHere = this.replicas.some((replica) => replica.household === household)
      if (this.removed.includes(household)) continue
      if (told === undefined || (isHere && !this.lost.has(household))) continue
      if (!this.lost.has(household)) this.lose({ household, name: told.name })
      this.lost.delete(household)
      void this.askWhatWasSafe(told, device)
    }
  }

  private async askWhatWasSafe({ id, name }: ToldHousehold, device: string): Promise<void> {
    try {
      const found = (await getDevices(id)).find((each) => each.id === device)
      if (found === undefined) return
      const { pending = null, pendingToldMs = null } = found
      this.events.evicted({ household: name, pending, heardMs: pendingToldMs })
    } catch {
      // What has been said already is the most that is known.
    }
  }

  /** The next eviction is noticed by what the server remembers from now on. */
  private async beRemembered(open: OpenHousehold): Promise<void> {
    const { household, device } = await open.data.meta()
    const isSame = (each: KnownDevice) => each.household === household && each.device === device
    if (this.known.some(isSame) || this.events.csrfToken() === "") return
    try {
      await postDevice({ household, device }, this.events.csrfToken())
      const others = this.known.filter((each) => each.household !== household)
      this.known = [...others, { household, device }]
    } catch {
      // Tried again with the next welcome.
    }
  }

  /** Make a household, offline too, and show it. Throws Trouble. */
  async create(name: string): Promise<Household> {
    const clean = label(name)
    if (clean === "") throw new Trouble("required", "name")
    const household = newId(MACHINE)
    await this.begin({ id: household, user: this.events.userId(), household, name: clean, role: "owner" }, clean)
    await this.switchTo(household)
    return this.at(household)
  }

  /** Show another household. Throws Trouble. */
  switchTo(id: string): Promise<void> {
    this.turning = this.turning.catch(() => undefined).then(() => this.turnTo(id))
    return this.turning
  }

  /** Delete what this device keeps of a household, unsent changes included; show another one. */
  remove(id: string): Promise<void> {
    this.turning = this.turning.catch(() => undefined).then(() => this.takeOff(id))
    return this.turning
  }

  async rename(id: string, name: string): Promise<void> {
    const clean = label(name)
    if (clean === "") throw new Trouble("required", "name")
    const isBornHere = id === this.currentId && ((await this.open?.data.renameBornHere(clean)) ?? false)
    if (!isBornHere) await postName(id, clean, this.events.csrfToken())
    this.told = this.told.map((each) => (each.id === id ? { ...each, name: clean } : each))
    await this.note(id, { name: clean })
  }

  /** Close what is open; what is kept stays. */
  async close(): Promise<void> {
    this.replicas = []
    this.told = []
    this.elsewhere.clear()
    await this.hide()
    await this.errands.end()
    this.tell()
  }

  // --- inside ------------------------------------------------------------------------------------

  private async turnTo(id: string): Promise<void> {
    if (this.currentId === id && this.open !== null) return
    const known = this.list().find((household) => household.id === id)
    if (known === undefined) throw trouble("no_household")
    const replica =
      this.replicas.find((each) => each.household === id) ??
      (await this.begin(replicaOf(this.events.userId(), known), null))
    await this.errands.leave(replica.id)
    const opened = await this.openReplica(replica)
    const before = this.open
    this.open = opened
    this.currentId = id
    await before?.end()
    this.people = await this.registry.people(id)
    this.removed = this.removed.filter((each) => each !== id)
    await this.registry.welcomeBack(this.events.userId(), id)
    await this.registry.putLastHousehold(this.events.userId(), id)
    await this.events.opened(opened)
    opened.start()
    this.tell()
    this.sendElsewhere()
  }

  private async takeOff(id: string): Promise<void> {
    const replica = this.replicas.find((each) => each.household === id)
    if (replica === undefined) return
    // Noted first: another tab that loses its database learns why.
    await this.registry.remove(replica)
    this.replicas = this.replicas.filter((each) => each !== replica)
    this.removed = [...this.removed, id]
    this.elsewhere.delete(id)
    await this.errands.leave(replica.id)
    if (this.currentId === id) await this.hide()
    await Dexie.delete(databaseName(replica.id))
    this.tell()
    const next = this.list().find(({ isHere }) => isHere)
    if (this.currentId === null && next !== undefined) await this.turnTo(next.id)
  }

  /** No household is shown. */
  private async hide(): Promise<void> {
    const { open } = this
    this.open = null
    this.currentId = null
    await this.events.opened(null)
    await open?.end()
  }

  /** The database of what is shown is gone: its person has taken it off, or the browser has. */
  private async wentAway(id: string): Promise<void> {
    const replica = this.replicas.find((each) => each.id === id)
    const removed = await this.registry.removed(this.events.userId()).catch((): readonly string[] => [])
    if (replica === undefined || !removed.includes(replica.household)) {
      this.events.evicted({ household: replica?.name ?? "", pending: null, heardMs: null })
      return
    }
    if (this.currentId === replica.household) await this.hide()
    await this.recall(null)
  }

  /** Send what waits in households that are not shown. */
  private sendElsewhere(): void {
    this.errands.run(this.replicas.filter((each) => each.household !== this.currentId))
  }

  private async openReplica(replica: Replica): Promise<OpenHousehold> {
    try {
      return await OpenHousehold.open(databaseName(replica.id), null, this.around(replica.id))
    } catch (error) {
      if (!(error instanceof Trouble) || error.code !== "storage_gone") throw error
      // It was here, and is not any more: said, and loaded again. It is no empty household.
      this.lose(replica)
      this.missDevices()
      const again = { ...replica, id: newId(MACHINE) }
      const birth = this.birth(again, null)
      const opened = await OpenHousehold.open(databaseName(again.id), birth, this.around(again.id))
      await this.registry.drop(replica.id)
      await this.keep(again)
      return opened
    }
  }

  /** Make the database of a household. householdName: of one that is born here. */
  private async begin(replica: Replica, householdName: string | null): Promise<Replica> {
    const birth = this.birth(replica, householdName)
    const nobody = { committed: () => undefined, troubled: () => undefined }
    const data = await DataService.open(databaseName(replica.id), birth, nobody)
    data.close()
    await this.keep(replica)
    return replica
  }

  private birth({ user, household, role }: Replica, householdName: string | null) {
    return { user, household, householdName, deviceName: deviceName(), app: APP, role }
  }

  private async keep(replica: Replica): Promise<void> {
    await this.registry.put(replica)
    this.replicas = [...this.replicas.filter((each) => each.household !== replica.household), replica]
    this.tell()
  }

  private async note(household: string, changes: Partial<Replica>): Promise<void> {
    const replica = this.replicas.find((each) => each.household === household)
    if (replica !== undefined) await this.keep({ ...replica, ...changes })
    else this.tell()
  }

  /** Of a household that is not shown: nothing of it reaches the screen. */
  private aroundElsewhere({ id }: Replica, painted: (painted: Painted) => void): Surroundings {
    const nothing = () => undefined
    return { ...this.around(id), painted, firstEdit: nothing, gone: nothing }
  }

  /** A household that is being left may still be told something: it is about that one. */
  private around(id: string): Surroundings {
    const { events } = this
    const replica = () => this.replicas.find((each) => each.id === id)
    return {
      ...events,
      address: socketAddress,
      painted: (painted) => {
        if (painted.pendingCount !== this.pendingHere) {
          this.pendingHere = painted.pendingCount
          this.tell()
        }
        const own = replica()
        if (own !== undefined && own.role !== painted.role) this.hearRole(own, painted.role)
        // What has just been hidden may still have something to say; nobody looks at it any more.
        if (this.open?.data.name === databaseName(id)) events.painted(painted)
      },
      welcomed: ({ created }) => {
        const own = replica()
        if (own === undefined) return
        if (this.open?.data.name === databaseName(id)) {
          void this.beRemembered(this.open)
          this.sendElsewhere()
        }
        const isNew = created === true || !this.told.some((each) => each.id === own.household)
        if (isNew) void events.askSession()
      },
      householdMoved: (household) => {
        const own = replica()
        if (own !== undefined) void this.moved(own, household)
      },
      devices: (household) => this.devices(household),
      nameOf: (user) => this.people[user] ?? null,
      gone: () => void this.wentAway(id),
    }
  }

  /** What a person may do, newer than what the session has told. */
  private hearRole(own: Replica, role: Role): void {
    this.told = this.told.map((each) => (each.id === own.household ? { ...each, role } : each))
    if (own.role !== role) void this.keep({ ...own, role })
  }

  /** The id of a household that was born here is somebody else's: it has a fresh one. */
  private async moved(replica: Replica, household: string): Promise<void> {
    this.replicas = this.replicas.filter((each) => each !== replica)
    const isShown = this.currentId === replica.household
    if (isShown) this.currentId = household
    await this.keep({ ...replica, household })
    if (isShown) await this.registry.putLastHousehold(this.events.userId(), household)
  }

  private async devices(household: string): Promise<readonly ToldDevice[]> {
    const devices = await getDevices(household)
    const names = devices.map(({ userId, user }) => [userId, user] as const)
    this.people = { ...this.people, ...Object.fromEntries(names) }
    await this.registry.putPeople(household, this.people)
    return devices
  }

  private list(): readonly Household[] {
    const ids = new Set([...this.told, ...this.replicas].map((each) => ("household" in each ? each.household : each.id)))
    return [...ids].map((id) => this.at(id)).sort((a, b) => a.name.localeCompare(b.name))
  }

  private at(id: string): Household {
    const told = this.told.find((each) => each.id === id)
    const replica = this.replicas.find((each) => each.household === id)
    const waiting = id === this.currentId ? null : (this.elsewhere.get(id) ?? null)
    return {
      id,
      name: told?.name ?? replica?.name ?? "",
      role: told?.role ?? replica?.role ?? "viewer",
      status: told?.status ?? "local",
      isHere: replica !== undefined,
      pending: id === this.currentId ? this.pendingHere : (waiting?.pendingCount ?? 0),
      unshown: waiting === null ? null : { oldestMs: waiting.oldestMs, status: waiting.status },
    }
  }

  private tell(): void {
    this.events.listed(this.list(), this.currentId)
  }
}

/**
 * A person's own replica of a household that the server has told: two members who share a browser
 * share no database, and no queue. The id is always the same, so that two tabs begin one.
 */
function replicaOf(user: string, { id, name, role }: Household): Replica {
  return { id: `${id}.${user}`, user, household: id, name, role }
}

function databaseName(id: string): string {
  return `finwise-${id}`
}

function socketAddress(household: string): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws"
  return `${scheme}://${location.host}/ws/sync/${household}/`
}

/** What people call this device: the browser and its machine, roughly. */
function deviceName(): string {
  const agent = navigator.userAgent
  const browser = /Firefox|Edg|OPR|Chrome|Safari/.exec(agent)?.[0] ?? "Browser"
  const system = /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(agent)?.[0] ?? ""
  const names: Readonly<Record<string, string>> = { Edg: "Edge", OPR: "Opera", "Mac OS X": "Mac" }
  return [browser, system].map((name) => names[name] ?? name).filter(Boolean).join(" · ")
}
