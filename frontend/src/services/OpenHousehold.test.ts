// An open household says how things stand, and never says green without evidence.

import Dexie from "dexie"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"

import { BUILT_IN } from "../sync/entities"
import { OpenHousehold, type Painted } from "./OpenHousehold"
import { ABSENT, BLACK_HOLE, type FakePage, closePage, openPage, pass, rest, until } from "./testing/page"
import { HouseholdServer } from "./testing/server"
import { serving } from "./testing/serving"
import { chanceOf } from "./testing/world"

const BIRTH = { user: "anna", household: "h", householdName: null, deviceName: "d", app: "a" }

let page: FakePage
let server: HouseholdServer
let name: string
let open: OpenHousehold
let painted: Painted[]
let told: string[]
let isSignedOut: boolean

beforeEach(() => {
  page = openPage()
  name = `open-${Math.random().toString(36).slice(2)}`
  server = new HouseholdServer(chanceOf(3), () => Date.now(), BUILT_IN)
  page.answering = serving(server)
  ;[painted, told, isSignedOut] = [[], [], false]
})

afterEach(async () => {
  await open.end()
  closePage()
  await Dexie.delete(name)
})

async function start(birth: Parameters<typeof OpenHousehold.open>[1] = BIRTH): Promise<void> {
  open = await OpenHousehold.open(name, birth, {
    userId: () => "anna",
    isSignedOut: () => isSignedOut,
    address: (household) => `ws://test/${household}`,
    painted: (each) => painted.push(each),
    welcomed: () => told.push("welcomed"),
    signedOut: () => told.push("signed out"),
    isOwn: (user) => user === "anna",
    askSession: () => {
      told.push("session asked")
      return Promise.resolve(true)
    },
    householdMoved: () => told.push("moved"),
    devices: () => Promise.resolve([]),
    nameOf: () => null,
    firstEdit: () => told.push("first edit"),
    gone: () => told.push("gone"),
  })
  open.start()
}

/** Timers that paint run now. */
async function look(): Promise<Painted> {
  for (let n = 0; n < 3; n++) await pass(50)
  const last = painted.at(-1)
  if (last === undefined) throw new Error("Nothing was painted.")
  return last
}
const kind = async () => (await look()).status.kind
const add = (text: string) => open.create("account_group", { name: text })

/** Another device of the household makes so many groups, all in one push. */
function pushFromElsewhere(count: number): void {
  const peer = { user: "anna", send: () => undefined, close: () => undefined }
  const node = "e1".repeat(8)
  const id = (n: number) => `eeeeeeee-0000-4000-8000-${n.toString().padStart(12, "0")}`
  server.take(peer, { type: "hello", device: id(0), node, name: "d", app: "a" })
  const changes = Array.from({ length: count }, (_, n) => ({
    number: n + 1,
    entity: "account_group",
    id: id(n + 1),
    kind: "create" as const,
    stamp: `${Date.now().toString(16).padStart(12, "0")}-${n.toString(16).padStart(4, "0")}-${node}`,
    fields: { name: `Gruppe ${n.toString()}` },
  }))
  server.take(peer, { type: "push", changes, acknowledged: 0 })
}

async function startGreen(): Promise<void> {
  await start()
  await until(() => painted.some(({ picture }) => picture.phase === "idle"))
  expect(await kind()).toBe("up_to_date")
}

describe("green", () => {
  test("comes with the server's word, and ends when that is too old", async () => {
    await startGreen()
    page.answering = { ...page.answering, said: () => undefined }
    await pass(30_000)
    expect(await kind()).not.toBe("up_to_date")
  })

  test("ends with an edit before that is even stored in the list", async () => {
    await startGreen()
    page.answering = { ...page.answering, said: () => undefined }
    painted.length = 0
    await add("Giro")
    await until(() => painted.length > 0)
    expect(painted.map(({ status }) => status.kind)).not.toContain("up_to_date")
    expect((await look()).pendingCount).toBe(1)
  })

  test("comes back when the server has taken it, and not before", async () => {
    await startGreen()
    await add("Giro")
    await until(() => server.rows().size === 1)
    expect(await kind()).toBe("up_to_date")
    expect((await look()).pending).toEqual([])
  })

  test("was never painted while anything was pending or refused", async () => {
    await startGreen()
    for (const text of ["A", "B", "C"]) {
      await add(text)
      await pass(500)
    }
    await pass(2_000)
    for (const { status, pendingCount, refused } of painted) {
      if (status.kind === "up_to_date") expect([pendingCount, refused]).toEqual([0, []])
    }
  })
})

describe("what it says when it is not green", () => {
  test("offline, with what is pending, by the name its person gave it", async () => {
    await startGreen()
    page.online(false)
    expect(await kind()).toBe("offline")
    await add("Giro")
    const { status, pending, oldestMs } = await look()
    expect(oldestMs).toBe(pending[0]?.madeMs)
    expect(status).toMatchObject({ kind: "offline_pending", count: 1, isAmber: false })
    expect(pending).toMatchObject([{ label: "Giro", kind: "create", state: "waiting" }])
  })

  test("amber, when nothing has got on for half a minute, whatever the socket says", async () => {
    await startGreen()
    const { answering } = page
    page.answering = { ...answering, said: (socket, frame) => { if (frame.type !== "push") answering.said(socket, frame) } }
    await add("Giro")
    expect((await look()).status.isAmber).toBe(false)
    await pass(31_000)
    expect((await look()).status).toMatchObject({ kind: "syncing", left: 1, isAmber: true })
  })

  test("not that the server is unreachable, when nobody has asked it since the network is back", async () => {
    await startGreen()
    page.online(false)
    await pass(120_000) // long enough for attempts that could not be any
    page.navigator.onLine = true // the machine says so before anybody is told
    painted.length = 0
    open.repaint()
    page.online(true)
    open.repaint()
    await until(() => painted.at(-1)?.status.kind === "up_to_date")
    const kinds = painted.map(({ status }) => status.kind)
    expect(kinds).toContain("connecting")
    expect(kinds).not.toContain("unreachable")
  })

  test("unreachable, with when it is tried again; connecting is not shown for a moment", async () => {
    page.answering = ABSENT
    await start()
    await pass(100)
    await until(() => painted.at(-1)?.picture.attempt === 1)
    expect(painted.map(({ status }) => status.isSettled)).not.toContain(true)
    await pass(5_000)
    const { status } = await look()
    if (status.kind !== "unreachable") throw new Error(status.kind)
    expect(status.retryAtMs - performance.now()).toBeGreaterThan(-1_000)
    expect(status.retryAtMs - performance.now()).toBeLessThan(60_000)
  })

  test("sign in, when the server says that nobody is: everything stays", async () => {
    await startGreen()
    page.online(false)
    await add("Giro")
    isSignedOut = true
    page.online(true)
    const { status } = await look()
    expect(status).toMatchObject({ kind: "signed_out", count: 1 })
    expect(server.rows().size).toBe(0)
  })

  test("a full disk: told, kept what was there, and over when something is stored again", async () => {
    await startGreen()
    vi.spyOn(IDBObjectStore.prototype, "add").mockImplementationOnce(() => {
      throw new DOMException("The disk is full.", "QuotaExceededError")
    })
    await expect(add("Zu viel")).rejects.toMatchObject({ code: "storage_full" })
    expect((await look()).status).toMatchObject({ kind: "cannot_save", reason: "full" })
    await add("Passt")
    await until(() => server.rows().size === 1)
    expect(await kind()).toBe("up_to_date")
    vi.restoreAllMocks()
  })

  test("a disk that is full in the middle of a page: told, nothing of it taken, and read again later: Q06", async () => {
    await startGreen()
    const before = await open.data.meta()
    const put = IDBObjectStore.prototype.put // eslint-disable-line @typescript-eslint/unbound-method
    let kept = 0
    const full = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
      this: IDBObjectStore,
      ...what: Parameters<typeof put>
    ) {
      if (this.name === "base" && ++kept > 2) {
        throw new DOMException("The disk is full.", "QuotaExceededError")
      }
      return put.apply(this, what)
    })
    pushFromElsewhere(5)
    await until(() => kept > 2 && painted.at(-1)?.status.kind === "cannot_save")
    expect(painted.at(-1)?.status).toMatchObject({ reason: "full" })
    const { cursor, readSeq } = await open.data.meta()
    expect([cursor, readSeq]).toEqual([before.cursor, before.readSeq])
    expect((await open.data.rows("account_group")).size).toBe(0)
    full.mockRestore()
    await pass(60_000)
    expect(await kind()).toBe("up_to_date")
    expect((await open.data.rows("account_group")).size).toBe(5)
  })

  test("a database that is taken away under it: told, and nothing green afterwards", async () => {
    await startGreen()
    await Dexie.delete(name)
    await until(() => told.includes("gone"))
    expect((await look()).status).toMatchObject({ kind: "cannot_save", reason: "gone" })
    await expect(add("Ins Leere")).rejects.toMatchObject({ code: "storage_gone" })
    await pass(60_000)
    expect(await kind()).toBe("cannot_save")
    expect(await open.syncNow()).toEqual({ kind: "failed", reason: "cannot_save" })
    expect(await Dexie.exists(name)).toBe(false)
  })

  test("a tab whose database is gone leaves the lead to one that has it anew: J02", async () => {
    await startGreen()
    const dead = open
    await Dexie.delete(name)
    await until(() => told.includes("gone"))
    painted.length = 0
    await start()
    await pass(5_000)
    const leading = painted.filter(({ isLeader }) => isLeader)
    expect(leading.at(-1)?.status.kind).toBe("up_to_date")
    await dead.end()
  })
})

describe("whose it is", () => {
  test("what is somebody else's by now is sent nothing", async () => {
    page.answering = serving(server, { user: "ben" })
    await start()
    await add("Von Anna")
    await until(() => told.includes("signed out"))
    await pass(5_000)
    expect(server.rows().size).toBe(0)
    expect((await open.data.meta()).user).toBe("anna")
  })

  test("a household born here tells its name only when it is known who is signed in", async () => {
    await start({ ...BIRTH, user: "", householdName: "Zuhause" })
    await until(() => told.includes("welcomed"))
    expect(told.indexOf("session asked")).toBeLessThan(told.indexOf("welcomed"))
    expect((await open.data.meta()).user).toBe("anna")
  })

  test("a household born here stays open if the connection is lost right after the first welcome", async () => {
    page.answering = serving(server, { unheard: new Set(["changes"]) })
    await start({ ...BIRTH, householdName: "Zuhause" })
    await until(() => told.includes("welcomed"))
    page.online(false)
    expect(await look()).toMatchObject({ isLoaded: true, status: { kind: "offline" } })
  })
})

test("what helps a helper names no row and no amount", async () => {
  await startGreen()
  page.online(false)
  await open.create("account", { name: "Geheimkonto", balance: "1234.56", accountType: "giro" })
  await look()
  expect(open.diagnostics()).not.toMatch(/Geheimkonto|1234/)
  expect(JSON.parse(open.diagnostics())).toMatchObject({ household: "h", counts: { pending: 1 } })
  expect(await (await open.exportData()).text()).toContain("Geheimkonto")
})

test("a clock that is an hour ahead is told, hinders nothing, and is forgotten when it is set right: D07", async () => {
  let aheadMs = 3_600_000
  server = new HouseholdServer(chanceOf(3), () => Date.now() - aheadMs, BUILT_IN)
  page.answering = serving(server)
  await startGreen()
  expect((await look()).clockOffMs).toBeCloseTo(aheadMs, -3)
  expect(JSON.parse(open.diagnostics())).toMatchObject({ clock: "1 hour ahead" })
  await add("Geht trotzdem")
  await until(() => server.rows().size === 1)
  page.online(false)
  await pass(1_000)
  expect((await look()).clockOffMs).toBeCloseTo(aheadMs, -3)
  page.online(true)
  aheadMs = 0
  await pass(60_000)
  expect((await look()).clockOffMs).toBeCloseTo(0, -3)
  expect(await kind()).toBe("up_to_date")
  expect(JSON.parse(open.diagnostics())).toMatchObject({ clock: "right" })
})

test("after its end it paints nothing, and leaves no timer and no listener", async () => {
  await startGreen()
  await open.end()
  painted.length = 0
  page.online(false)
  await pass(120_000)
  await rest()
  expect(painted).toEqual([])
  expect([vi.getTimerCount(), page.listeners, page.alive.length]).toEqual([0, 0, 0])
})

test("a network that takes all and brings nothing never makes it green", async () => {
  page.answering = BLACK_HOLE
  await start()
  await pass(120_000)
  expect(painted.map(({ status }) => status.kind)).not.toContain("up_to_date")
})
