// Which households are kept on this device, for whom, and who was here last: one small database
// beside those of the households. A mark outside of it tells when the browser has deleted all.

import Dexie, { type Table } from "dexie"

import type { Role } from "../sync/core/messages"
import type { User } from "../types"
import { inWords } from "./data/database"

/**
 * A household on this device. id: of its database. user: whose replica it is, "" while nobody has
 * signed in yet.
 */
export interface Replica {
  readonly id: string
  readonly user: string
  readonly household: string
  readonly name: string
  readonly role: Role
}

/** What the server told of a household, for when it cannot be asked. */
export interface ToldHousehold {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly status: "provisioning" | "ready" | "maintenance"
}

interface Note {
  readonly key: string
  readonly value: unknown
}

class RegistryDatabase extends Dexie {
  declare readonly replicas: Table<Replica, string>
  declare readonly notes: Table<Note, string>

  constructor(name: string) {
    super(name, { chromeTransactionDurability: "strict", cache: "disabled" })
    this.version(1).stores({ replicas: "id", notes: "key" })
  }
}

const MARK = "finwise.kept"

/** What is left of a household in the mark. */
export interface Mark {
  readonly household: string
  readonly name: string
}

export class Registry {
  private readonly database: RegistryDatabase

  constructor(
    name = "finwise",
    private readonly storage: Storage | null = localStorageOrNull(),
  ) {
    this.database = new RegistryDatabase(name)
    // A newer version of the app in another tab may need the database to itself.
    this.database.on("versionchange", () => {
      this.database.close()
      return false
    })
  }

  async open(): Promise<void> {
    await told(() => this.database.open())
  }

  close(): void {
    this.database.close()
  }

  /** Those of a person, and those that nobody has signed in for yet. */
  async replicasOf(user: string): Promise<readonly Replica[]> {
    const all = await told(() => this.database.replicas.toArray())
    return all.filter((replica) => replica.user === user || replica.user === "")
  }

  async put(replica: Replica): Promise<void> {
    await told(() => this.database.replicas.put(replica))
    await this.markAll()
  }

  /** Forget a replica whose database is gone. */
  async drop(id: string): Promise<void> {
    await told(() => this.database.replicas.delete(id))
  }

  /**
   * Forget a replica because its person wants it so: it was not the browser that deleted it, and
   * it does not come back by itself.
   */
  async remove({ id, user, household }: Replica): Promise<void> {
    const removed = new Set([...(await this.removed(user)), household])
    await this.putNote(`removed/${user}`, [...removed])
    await this.drop(id)
    await this.markAll()
  }

  /** Households that a person has taken off this device. */
  async removed(user: string): Promise<readonly string[]> {
    return (await this.note<readonly string[]>(`removed/${user}`)) ?? []
  }

  /** Its person wants it here again. */
  async welcomeBack(user: string, household: string): Promise<void> {
    const removed = await this.removed(user)
    if (!removed.includes(household)) return
    await this.putNote(`removed/${user}`, removed.filter((each) => each !== household))
  }

  async lastUser(): Promise<User | null> {
    return (await this.note<User>("user")) ?? null
  }

  async putLastUser(user: User): Promise<void> {
    await this.putNote("user", user)
  }

  async toldHouseholds(user: string): Promise<readonly ToldHousehold[]> {
    return (await this.note<readonly ToldHousehold[]>(`households/${user}`)) ?? []
  }

  async putToldHouseholds(user: string, households: readonly ToldHousehold[]): Promise<void> {
    await this.putNote(`households/${user}`, households)
  }

  async lastHousehold(user: string): Promise<string | null> {
    return (await this.note<string>(`current/${user}`)) ?? null
  }

  async putLastHousehold(user: string, household: string): Promise<void> {
    await this.putNote(`current/${user}`, household)
  }

  /** The names of people by id, as last told. */
  async people(household: string): Promise<Readonly<Record<string, string>>> {
    return (await this.note<Record<string, string>>(`people/${household}`)) ?? {}
  }

  async putPeople(household: string, names: Readonly<Record<string, string>>): Promise<void> {
    await this.putNote(`people/${household}`, names)
  }

  /** Households that were kept here and are not any more: the browser has deleted them. */
  async evicted(): Promise<readonly Mark[]> {
    const marks = this.marks()
    if (marks.length === 0) return []
    const kept = await told(() => this.database.replicas.toArray())
    const here = new Set(kept.map((replica) => replica.household))
    return marks.filter((mark) => !here.has(mark.household))
  }

  /** The person has read it, or it is here again: what is kept now is what counts. */
  async forgetEvicted(): Promise<void> {
    await this.markAll()
  }

  private async markAll(): Promise<void> {
    const kept = await told(() => this.database.replicas.toArray())
    this.mark(kept.map(({ household, name }) => ({ household, name })))
  }

  private async note<Value>(key: string): Promise<Value | undefined> {
    const found = await told(() => this.database.notes.get(key))
    return found?.value as Value | undefined
  }

  private async putNote(key: string, value: unknown): Promise<void> {
    await told(() => this.database.notes.put({ key, value }))
  }

  private marks(): readonly Mark[] {
    try {
      const found: unknown = JSON.parse(this.storage?.getItem(MARK) ?? "[]")
      return Array.isArray(found) ? found.filter(isMark) : []
    } catch {
      return []
    }
  }

  private mark(marks: readonly Mark[]): void {
    try {
      this.storage?.setItem(MARK, JSON.stringify(marks))
    } catch {
      // Full, or forbidden: then an eviction cannot be told from a new device.
    }
  }
}

function isMark(value: unknown): value is Mark {
  const mark = value as Partial<Mark> | null
  return typeof mark?.household === "string" && typeof mark.name === "string"
}

function localStorageOrNull(): Storage | null {
  try {
    return localStorage
  } catch {
    return null
  }
}

async function told<Result>(work: () => PromiseLike<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw inWords(error)
  }
}
