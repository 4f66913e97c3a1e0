// What happens to a person's data when the browser plays tricks. Nothing is dropped, and each
// trouble is said once, by its code.

import Dexie from "dexie"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"

import type { Role, Welcome } from "../sync/core/messages"
import { BUILT_IN } from "../sync/entities"
import { DataService } from "./DataService"
import type { Trouble } from "./errors"

const BIRTH = {
  user: "11111111-1111-4111-8111-111111111111",
  household: "22222222-2222-4222-8222-222222222222",
  householdName: "Zuhause",
  deviceName: "Test",
  app: "test",
}

let name: string
const open: DataService[] = []

beforeEach(() => {
  name = `data-${Math.random().toString(36).slice(2)}`
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const data of open.splice(0)) data.close()
  await Dexie.delete(name)
})

async function openTab(birth: typeof BIRTH | null = BIRTH) {
  const troubles: string[] = []
  const edits: boolean[] = []
  const data = await DataService.open(name, birth, {
    committed: (isEdit) => edits.push(isEdit),
    troubled: ({ code }) => troubles.push(code),
  })
  open.push(data)
  return { data, troubles, edits }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (error as Trouble).code,
  )

const names = async (data: DataService) =>
  [...(await data.rows("account_group")).values()].map((row) => row.fields["name"])

describe("an edit", () => {
  test("and its entry in the queue are one thing: both are there, or neither is: A02", async () => {
    const { data } = await openTab()
    await data.create("account_group", { name: "Giro" })
    vi.spyOn(IDBObjectStore.prototype, "add").mockImplementationOnce(() => {
      throw new DOMException("The disk is full.", "QuotaExceededError")
    })
    expect(await codeOf(data.create("account_group", { name: "Bar" }))).toBe("storage_full")
    expect(await names(data)).toEqual(["Giro"])
    expect((await data.standing(9)).counts.pending).toBe(1)
  })

  test("survives the end of the page: A01", async () => {
    const { data } = await openTab()
    await data.create("account_group", { name: "Giro" })
    data.close()
    const { data: again } = await openTab(null)
    expect(await names(again)).toEqual(["Giro"])
    expect((await again.standing(9)).pending).toHaveLength(1)
  })

  test("that cannot be accepted is refused with its code and field before it is queued", async () => {
    const { data, troubles } = await openTab()
    const wrong = data.create("account", { name: "Giro", balance: "1.23456" })
    await expect(wrong).rejects.toMatchObject({ code: "digits", field: "balance" })
    await expect(data.create("account_group", { name: " " })).rejects.toMatchObject({
      code: "required",
      field: "name",
    })
    await expect(data.create("account", { name: "x", iban: "DE00" })).rejects.toMatchObject({
      code: "iban",
    })
    expect(await codeOf(data.create("conflict", {}))).toBe("unknown")
    expect(await codeOf(data.edit("account", BIRTH.user, { name: "x" }))).toBe("row_missing")
    expect((await data.standing(9)).counts.pending).toBe(0)
    expect(troubles).toEqual([])
  })

  test("that changes nothing is none: D13", async () => {
    const { data, edits } = await openTab()
    const id = await data.create("account", { name: "Giro", balance: "1.5" })
    expect(await data.edit("account", id, { balance: "1.50", name: "Giro" })).toBe(false)
    expect(await data.edit("account", id, {})).toBe(false)
    await data.editMany("account", new Map([[id, { sortOrder: 0, note: "" }]]))
    expect((await data.standing(9)).counts.pending).toBe(1)
    expect(edits.filter(Boolean)).toHaveLength(1)
    expect(await data.edit("account", id, { balance: "1.50", note: "neu" })).toBe(true)
    expect((await data.standing(9)).pending.at(-1)?.fields).toEqual({ note: "neu" })
  })

  test("folds into what was never sent", async () => {
    const { data } = await openTab()
    const id = await data.create("account_group", { name: "Giro", sortOrder: 1, image: "" })
    await data.edit("account_group", id, { name: "Bank" })
    await data.edit("account_group", id, { name: "Sparkasse" })
    const { pending } = await data.standing(9)
    expect(pending.map(({ kind, fields }) => [kind, fields["name"]])).toEqual([
      ["create", "Giro"],
      ["edit", "Sparkasse"],
    ])
  })

  test("of a deleted row brings it back whole", async () => {
    const { data } = await openTab()
    const id = await data.create("account", { name: "Giro", note: "wichtig" })
    await data.remove("account", id)
    expect((await data.rows("account")).size).toBe(0)
    await data.restore("account", id)
    expect((await data.rows("account")).get(id)?.fields).toMatchObject({ note: "wichtig" })
  })
})

describe("when the storage is in trouble", () => {
  test("a full disk is said, and the next edit that fits is saved again: A03", async () => {
    const { data, troubles } = await openTab()
    const full = vi.spyOn(IDBObjectStore.prototype, "add").mockImplementation(() => {
      throw new DOMException("The disk is full.", "QuotaExceededError")
    })
    expect(await codeOf(data.create("account_group", { name: "Giro" }))).toBe("storage_full")
    expect(troubles).toEqual(["storage_full"])
    full.mockRestore()
    await data.create("account_group", { name: "Giro" })
    expect(await names(data)).toEqual(["Giro"])
  })

  test("a database that should be there and is not is no empty household", async () => {
    expect(await codeOf(openTab(null))).toBe("storage_gone")
    expect(await Dexie.exists(name)).toBe(false)
  })

  test("a database that is emptied under the page is noticed, and nothing is written to it", async () => {
    const { data, troubles } = await openTab()
    const other = await new Dexie(name).open()
    await other.table("notes").clear()
    other.close()
    expect(await codeOf(data.create("account_group", { name: "Giro" }))).toBe("storage_gone")
    expect(troubles).toEqual(["storage_gone"])
  })

  test("a newer version in another tab takes the database: this one says so, and keeps all", async () => {
    const { data, troubles } = await openTab()
    await data.create("account_group", { name: "Giro" })
    const newer = new Dexie(name)
    newer.version(99).stores({ outbox: "++local, [entity+rowId], [state+local], &number, stamp" })
    await newer.open()
    expect(await newer.table("outbox").count()).toBe(1)
    newer.close()
    expect(troubles).toEqual(["newer_tab"])
    expect(await codeOf(data.create("account_group", { name: "Bar" }))).toBe("newer_tab")
    expect(await codeOf(openTab(null))).toBe("newer_tab")
  })

  test("a deleted database is gone, and not made anew by the next look", async () => {
    const { data, troubles } = await openTab()
    await Dexie.delete(name)
    expect(troubles).toEqual(["storage_gone"])
    expect(await codeOf(data.rows("account"))).toBe("storage_gone")
    expect(await Dexie.exists(name)).toBe(false)
  })
})

describe("two tabs", () => {
  test("show the same, whoever of them edits", async () => {
    const [one, two] = [await openTab(), await openTab()]
    const seen: unknown[][] = []
    await two.data.view.watch("account_group", ({ rows }) => {
      seen.push([...rows.values()].map(({ row }) => row.fields["name"]))
    })
    await one.data.create("account_group", { name: "Giro" })
    await vi.waitFor(() => {
      expect(seen.at(-1)).toEqual(["Giro"])
    })
    expect(two.edits).toEqual([true])
  })

  test("cannot both speak: the later conversation ends the earlier one", async () => {
    const [one, two] = [await openTab(), await openTab()]
    await one.data.create("account_group", { name: "Giro" })
    await one.data.takeLease()
    await two.data.takeLease()
    await expect(one.data.push()).rejects.toThrow(expect.objectContaining({ name: "LeaseLost" }))
    expect(await two.data.push()).toMatchObject({ changes: [{ number: 1 }] })
  })

  test("a tab that was frozen reads what it has missed", async () => {
    const [one, two] = [await openTab(), await openTab()]
    const shown: number[] = []
    await two.data.view.watch("account_group", ({ rows }) => shown.push(rows.size))
    const deaf = vi.spyOn(BroadcastChannel.prototype, "postMessage").mockReturnValue(undefined)
    await one.data.create("account_group", { name: "Giro" })
    await one.data.create("account_group", { name: "Bar" })
    deaf.mockRestore()
    await two.data.catchUp()
    await vi.waitFor(() => {
      expect(shown.at(-1)).toBe(2)
    })
  })
})

test("thousands of changes show in pieces, all of them, and so does a whole look", async () => {
  const { data } = await openTab()
  const groups = Array.from({ length: 2_100 }, (_, n) => ({ name: `Gruppe ${n}` }))
  const pieces: number[] = []
  const seen = new Map<string, unknown>()
  await data.view.watch("account_group", ({ rows, changed }) => {
    const ids = changed === "all" ? [...rows.keys()] : [...changed]
    pieces.push(ids.length)
    for (const id of ids) seen.set(id, rows.get(id)?.row.fields["name"])
  })
  const ids = await data.createMany("account_group", groups)
  await vi.waitFor(() => {
    expect(seen.size).toBe(2_100)
  }, 20_000)
  expect(ids.map((id) => seen.get(id))).toEqual(groups.map((group) => group.name))
  seen.clear()
  data.view.notice("all")
  await vi.waitFor(() => {
    expect(seen.size).toBe(2_100)
  }, 20_000)
  expect(Math.max(...pieces)).toBeLessThanOrEqual(200)
})

describe("the queue belongs to one person", () => {
  test("who signs in first gets what was made before, and nobody after him", async () => {
    const { data } = await openTab({ ...BIRTH, user: "" })
    await data.bindUser("anna")
    await data.bindUser("ben")
    expect((await data.meta()).user).toBe("anna")
  })

  test("a viewer's edits are not queued", async () => {
    const { data } = await openTab({ ...BIRTH, role: "viewer" } as typeof BIRTH)
    expect(await codeOf(data.create("account_group", { name: "Giro" }))).toBe("forbidden")
    expect((await data.standing(9)).counts.pending).toBe(0)
  })
})

describe("whose person may only look by now", () => {
  const welcome = (role: Role) =>
    ({
      type: "welcome", timeMs: Date.now(), head: 0, role, version: "1", entities: BUILT_IN,
      limits: {}, resume: false, user: BIRTH.user,
    }) as Welcome

  test("can give up what is never sent: the server's state shows, and no number is missed", async () => {
    const { data } = await openTab()
    await data.takeLease()
    await data.onWelcome(welcome("editor"))
    await data.create("account_group", { name: "Unterwegs" })
    await data.push()
    await data.create("account_group", { name: "Wartet" })
    const { device, node } = await data.meta()
    expect(await codeOf(data.discardUnsendable())).toBe("failed")
    expect(await names(data)).toHaveLength(2)
    await data.onWelcome(welcome("viewer"))
    await data.discardUnsendable()
    expect([await names(data), (await data.standing(9)).counts.pending]).toEqual([[], 0])
    // The server may have taken a number whose answer was lost: these are another device's now.
    const meta = await data.meta()
    expect([meta.device === device, meta.nextNumber, meta.formerNodes]).toEqual([false, 1, [node]])
  })

  test("stays the same device if nothing was ever on its way", async () => {
    const { data } = await openTab()
    await data.create("account_group", { name: "Wartet" })
    await data.takeLease()
    await data.onWelcome(welcome("viewer"))
    const { device } = await data.meta()
    await data.discardUnsendable()
    expect([await names(data), (await data.meta()).device]).toEqual([[], device])
  })
})

test("a household born here can be renamed until a server has acknowledged it", async () => {
  const { data } = await openTab()
  expect(await data.renameBornHere("Daheim")).toBe(true)
  await data.takeLease()
  expect(await data.hello()).toMatchObject({ household: { name: "Daheim" } })
})

test("everything that is kept can be exported, the queue included", async () => {
  const { data } = await openTab()
  await data.create("account_group", { name: "Giro" })
  expect(await data.everything()).toMatchObject({ outbox: [{ fields: { name: "Giro" } }] })
})
