// The households of a person on this device: found, born, switched, lost and found again.

import Dexie from "dexie"
import { afterEach, beforeEach, describe, expect, test } from "vitest"

import { BUILT_IN } from "../sync/entities"
import type { DownFrame } from "../sync/core/messages"
import type { Evicted, Household, Role } from "../types"
import { Registry, type ToldHousehold } from "./registry"
import { TenantService } from "./TenantService"
import { ANNA, type FakeApi, FakeStorage, openApi } from "./testing/api"
import { ABSENT, type Answering, type FakePage, closePage, openPage, pass, rest, until } from "./testing/page"

let page: FakePage
let api: FakeApi
let storage: FakeStorage
let registry: Registry
let tenants: TenantService
let user: string
let list: readonly Household[]
let shown: string | null
let evicted: Evicted[]
let opened: (string | null)[]
let left: number[]

beforeEach(async () => {
  page = openPage()
  page.answering = ABSENT
  api = openApi()
  storage = new FakeStorage()
  user = "anna"
  await begin()
})

afterEach(async () => {
  await end()
  closePage()
  for (const name of await Dexie.getDatabaseNames()) await Dexie.delete(name)
})

/** The page is opened: what was kept is there, nothing is in memory. */
async function begin(): Promise<void> {
  ;[list, shown, evicted, opened, left] = [[], null, [], [], []]
  registry = new Registry("finwise", storage as unknown as Storage)
  await registry.open()
  tenants = new TenantService(registry, {
    userId: () => user,
    isSignedOut: () => false,
    isOwn: () => true,
    signedOut: () => undefined,
    askSession: () => Promise.resolve(true),
    csrfToken: () => "token",
    painted: () => undefined,
    firstEdit: () => undefined,
    listed: (households, currentId) => {
      ;[list, shown] = [households, currentId]
    },
    opened: (open) => {
      opened.push(open?.data.name ?? null)
      return Promise.resolve()
    },
    leftBehind: (pending) => left.push(pending),
    evicted: (found) => evicted.push(found),
  })
}

async function end(): Promise<void> {
  await tenants.close()
  registry.close()
}

async function reopen(): Promise<void> {
  await end()
  await begin()
}

const told = (id: string, name: string, role: Role = "owner"): ToldHousehold => ({
  id,
  name,
  role,
  status: "ready",
})
const names = () => list.map(({ name }) => name)
const add = (name: string) => tenants.open?.create("account_group", { name })
const groups = async () =>
  [...((await tenants.open?.data.rows("account_group"))?.values() ?? [])].map((row) => row.fields["name"])

describe("without a server", () => {
  test("a household is made, shown, and there again when the page is opened anew", async () => {
    const { id, status } = await tenants.create("  Zuhause ")
    expect([names(), shown, status]).toEqual([["Zuhause"], id, "local"])
    await add("Giro")
    await reopen()
    await tenants.recall(null)
    expect([names(), shown, await groups()]).toEqual([["Zuhause"], id, ["Giro"]])
    expect(evicted).toEqual([])
  })

  test("on a new device the one that the address names is opened when the server tells of it", async () => {
    await tenants.recall("club")
    await tenants.hear([told("home", "A"), told("club", "B")])
    expect(shown).toBe("club")
    expect((await registry.replicasOf("anna")).map(({ household }) => household)).toEqual(["club"])
  })

  test("one without a name is not made", async () => {
    await expect(tenants.create(" \u0000 ")).rejects.toMatchObject({ code: "required" })
    expect(list).toEqual([])
    expect(await registry.replicasOf("anna")).toEqual([])
  })

  test("the one that the address names is opened, else the last, else the first", async () => {
    const first = await tenants.create("A")
    const second = await tenants.create("B")
    const opensWith = async (wanted: string | null) => {
      await reopen()
      await tenants.recall(wanted)
      return shown
    }
    expect(await opensWith(null)).toBe(second.id)
    expect(await opensWith(first.id)).toBe(first.id)
    expect(await opensWith(null)).toBe(first.id)
    expect(await opensWith("somebody else's")).toBe(first.id === list[0]?.id ? first.id : list[0]?.id)
  })

  test("switched to and fro, each household has its own rows: J07", async () => {
    const first = await tenants.create("A")
    await add("Nur A")
    await tenants.create("B")
    await add("Nur B")
    expect(await groups()).toEqual(["Nur B"])
    await tenants.switchTo(first.id)
    expect([shown, await groups()]).toEqual([first.id, ["Nur A"]])
    await expect(tenants.switchTo("nobody's")).rejects.toMatchObject({ code: "no_household" })
    expect([shown, await groups()]).toEqual([first.id, ["Nur A"]])
  })

  test("pressed twice at once, the last one pressed is shown, and one is open", async () => {
    const first = await tenants.create("A")
    const second = await tenants.create("B")
    await Promise.all([tenants.switchTo(first.id), tenants.switchTo(second.id), tenants.switchTo(first.id)])
    expect(shown).toBe(first.id)
    expect(tenants.open?.data.name).toBe(opened.at(-1))
  })
})

describe("what the server tells", () => {
  test("gives names, and opens the first when nothing is shown", async () => {
    await tenants.recall(null)
    await tenants.hear([told("h2", "Zweitwohnung", "viewer"), told("h1", "Haus")])
    expect([names(), shown]).toEqual([["Haus", "Zweitwohnung"], "h1"])
    await tenants.hear([told("h1", "Umbenannt")])
    expect(names()).toEqual(["Umbenannt"])
  })

  test("what nobody had signed in for belongs to who does so first, and to nobody else", async () => {
    user = ""
    await tenants.create("Vor der Anmeldung")
    user = "anna"
    await tenants.hear([])
    expect(names()).toEqual(["Vor der Anmeldung"])
    expect((await registry.replicasOf("anna")).map((each) => each.user)).toEqual(["anna"])
    expect(await registry.replicasOf("ben")).toEqual([])
  })

  test("somebody else sees nothing of the one before, and two of them share no database: A07", async () => {
    await tenants.hear([told("h", "Gemeinsam")])
    await add("Von Anna")
    await until(() => list[0]?.pending === 1)
    const hers = tenants.open?.data.name
    user = "ben"
    await tenants.hear([told("h", "Gemeinsam")])
    expect([await groups(), left]).toEqual([[], [1]])
    expect(tenants.open?.data.name).not.toBe(hers)
    user = "anna"
    await tenants.hear([told("h", "Gemeinsam")])
    expect([tenants.open?.data.name, await groups()]).toEqual([hers, ["Von Anna"]])
  })
})

describe("what its person takes off this device", () => {
  const kept = async () => (await Dexie.getDatabaseNames()).filter((name) => name !== "finwise")

  test("is gone, another one is shown, and nobody is told that the browser deleted it", async () => {
    await tenants.hear([told("a", "A"), told("b", "B")])
    await tenants.switchTo("b")
    await tenants.remove("b")
    expect([shown, names()]).toEqual(["a", ["A", "B"]])
    expect(list.map(({ isHere }) => isHere)).toEqual([true, false])
    expect(await kept()).toEqual(["finwise-a.anna"])
    await reopen()
    for (const mark of await registry.evicted()) tenants.lose(mark)
    await tenants.recall(null)
    await tenants.hear([told("a", "A"), told("b", "B")], [{ household: "b", device: "d" }])
    await rest()
    expect([shown, evicted]).toEqual(["a", []])
  })

  test("does not come back by itself, and does when it is asked for", async () => {
    await tenants.hear([told("h", "Haus")])
    await tenants.remove("h")
    expect([shown, opened.at(-1)]).toEqual([null, null])
    await reopen()
    await tenants.recall(null)
    await tenants.hear([told("h", "Haus")])
    expect([shown, names(), await kept()]).toEqual([null, ["Haus"], []])
    await tenants.switchTo("h")
    await reopen()
    await tenants.recall(null)
    expect(shown).toBe("h")
  })

  test("is not in the list any more if no server tells it", async () => {
    const { id } = await tenants.create("Nur hier")
    await add("Giro")
    await tenants.remove(id)
    expect([names(), await kept()]).toEqual([[], []])
  })

  test("goes from the other tab that shows it, which is told no more than that", async () => {
    await tenants.hear([told("a", "A"), told("b", "B")])
    await tenants.switchTo("b")
    const replica = (await registry.replicasOf("anna")).find(({ household }) => household === "b")
    if (replica === undefined) throw new Error("There is no replica.")
    await registry.remove(replica)
    await Dexie.delete(`finwise-${replica.id}`)
    await until(() => shown === "a")
    expect(evicted).toEqual([])
  })
})

describe("what the browser has deleted", () => {
  const lost = (pending: number | null, heardMs: number | null = null) => ({
    household: "Haus",
    pending,
    heardMs,
  })

  test("under the registry: said, and loaded again under another name", async () => {
    await tenants.hear([told("h", "Haus")])
    const before = tenants.open?.data.name ?? ""
    await reopen()
    await Dexie.delete(before)
    await tenants.recall(null)
    expect(evicted).toEqual([lost(null)])
    expect([shown, tenants.open?.data.name === before]).toEqual(["h", false])
    expect((await tenants.open?.data.meta())?.householdName).toBeNull()
    await reopen()
    await tenants.recall(null)
    expect(evicted).toEqual([])
  })

  test("with everything beside it: the server knows the device, and what it had not sent", async () => {
    api.user = ANNA
    api.devices = [
      { id: "other", pending: 0, pendingToldMs: 1, lastSyncMs: 1 },
      { id: "d", pending: 3, pendingToldMs: 5_000, lastSyncMs: 9_000 },
    ]
    await tenants.recall(null)
    await tenants.hear([told("h", "Haus")], [{ household: "h", device: "d" }])
    await until(() => evicted.length === 2)
    expect(evicted).toEqual([lost(null), lost(3, 5_000)])
    expect(shown).toBe("h")
    await tenants.hear([told("h", "Haus")], [{ household: "h", device: "d" }])
    await rest()
    expect(evicted).toHaveLength(2)
  })

  test("is said though the server cannot be asked for more", async () => {
    api.isReachable = false
    await tenants.hear([told("h", "Haus")], [{ household: "h", device: "d" }])
    await rest()
    expect(evicted).toEqual([lost(null)])
  })

  test("a new device has lost nothing, nor one of a household that is not told any more", async () => {
    await tenants.hear([told("h", "Haus")], [{ household: "left", device: "d" }])
    await rest()
    expect(evicted).toEqual([])
  })

  test("the server is told once which device this is", async () => {
    await tenants.hear([told("h", "Haus")])
    await until(() => api.asked.includes("POST /api/households/h/device"))
    const device = (await tenants.open?.data.meta())?.device ?? ""
    expect(api.bodies).toEqual([{ device }])
    await tenants.hear([told("h", "Haus")], [{ household: "h", device }])
    await rest()
    expect(api.asked.filter((each) => each.startsWith("POST"))).toHaveLength(1)
  })
})

describe("a household whose id is taken", () => {
  /** A server to which every household that is not "fresh" is somebody else's. */
  function refusing(isTaken: (url: string) => boolean): Answering {
    return {
      opened: (socket) => {
        socket.open()
      },
      said: (socket, { type }) => {
        if (type !== "hello") return
        const no = { type: "error", of: "hello", code: "not_yours", message: "no", retryable: false }
        queueMicrotask(() => {
          if (isTaken(socket.url)) socket.hear(no as DownFrame)
          else {
            socket.hear({
              type: "welcome", timeMs: Date.now(), head: 0, role: "owner", version: "1",
              entities: BUILT_IN, limits: {}, resume: false, user: "anna", created: true,
            })
          }
        })
      },
      ended: () => undefined,
    }
  }

  test("moves whole to a fresh one, in this tab and in the next", async () => {
    const { id } = await tenants.create("Zuhause")
    await add("Giro")
    page.answering = refusing((url) => url.includes(id))
    page.online(true)
    for (let n = 0; n < 10 && shown === id; n++) await pass(1_000)
    expect(shown).not.toBe(id)
    expect([names(), await groups()]).toEqual([["Zuhause"], ["Giro"]])
    const fresh = shown
    await reopen()
    await tenants.recall(null)
    expect([shown, await groups()]).toEqual([fresh, ["Giro"]])
  })

  test("leaves the one alone that is opened meanwhile", async () => {
    const first = await tenants.create("A")
    const second = await tenants.create("B")
    await tenants.switchTo(first.id)
    page.answering = refusing((url) => url.includes(first.id))
    page.online(true)
    const turning = tenants.switchTo(second.id)
    for (let n = 0; n < 5; n++) await pass(1_000)
    await turning
    expect(shown).toBe(second.id)
    expect(names()).toEqual(["A", "B"])
    expect(list.filter(({ id }) => id === second.id)).toHaveLength(1)
  })
})
