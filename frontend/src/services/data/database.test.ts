// What is asked of IndexedDB: that what was said to be saved is on the disk, not only on its way.

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test, vi } from "vitest"

import { DataService } from "../DataService"
import { Registry } from "../registry"

const BIRTH = { user: "anna", household: "h", householdName: null, deviceName: "d", app: "a" }

let name: string
let asked: (readonly [mode: string, durability: string | undefined])[]

beforeEach(() => {
  name = `durable-${Math.random().toString(36).slice(2)}`
  asked = []
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
  const { transaction } = IDBDatabase.prototype
  vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (
    this: IDBDatabase,
    ...call: Parameters<typeof transaction>
  ) {
    asked.push([call[1] ?? "readonly", call[2]?.durability])
    return transaction.apply(this, call)
  })
})

afterEach(async () => {
  vi.restoreAllMocks()
  await Dexie.delete(name)
})

const written = () => asked.filter(([mode]) => mode === "readwrite")

test("every write of a household asks for strict durability: A12", async () => {
  const data = await DataService.open(name, BIRTH, {
    committed: () => undefined,
    troubled: () => undefined,
  })
  asked = []
  const id = await data.create("account_group", { name: "Giro" })
  await data.edit("account_group", id, { name: "Bank" })
  await data.remove("account_group", id)
  await data.takeLease()
  await data.push()
  expect(written().length).toBeGreaterThanOrEqual(5)
  expect(new Set(written().map(([, durability]) => durability))).toEqual(new Set(["strict"]))
  data.close()
})

test("and so does every write of the list of households", async () => {
  const registry = new Registry(name, null)
  await registry.open()
  asked = []
  await registry.put({ id: "h.anna", user: "anna", household: "h", name: "Home", role: "owner" })
  await registry.putLastHousehold("anna", "h")
  expect(written().length).toBeGreaterThanOrEqual(2)
  expect(new Set(written().map(([, durability]) => durability))).toEqual(new Set(["strict"]))
  registry.close()
})
