// What is kept on this device, and what was.

import Dexie from "dexie"
import * as fc from "fast-check"
import { afterEach, beforeEach, expect, test } from "vitest"

import { Registry, type Replica } from "./registry"
import { ANNA, FakeStorage } from "./testing/api"

let name: string
let storage: FakeStorage
let open: Registry[]

beforeEach(() => {
  name = `registry-${Math.random().toString(36).slice(2)}`
  storage = new FakeStorage()
  open = []
})

afterEach(async () => {
  for (const registry of open) registry.close()
  await Dexie.delete(name)
})

async function newRegistry(): Promise<Registry> {
  const registry = new Registry(name, storage as unknown as Storage)
  open.push(registry)
  await registry.open()
  return registry
}

const replica = (id: string, user = "anna"): Replica => ({
  id,
  user,
  household: `h-${id}`,
  name: `Household ${id}`,
  role: "owner",
})

/** As the browser does when space is short: databases first, and perhaps only them. */
async function evict(registry: Registry): Promise<Registry> {
  registry.close()
  await Dexie.delete(name)
  return newRegistry()
}

test("a person finds his own households and those of nobody, not those of others", async () => {
  const registry = await newRegistry()
  for (const each of [replica("1"), replica("2", "ben"), replica("3", "")]) await registry.put(each)
  const ids = async (user: string) => (await registry.replicasOf(user)).map(({ id }) => id)
  expect(await ids("anna")).toEqual(["1", "3"])
  expect(await ids("ben")).toEqual(["2", "3"])
  expect(await ids("")).toEqual(["3"])
})

test("who was here, and where, is known when the page is opened again", async () => {
  const before = await newRegistry()
  await before.putLastUser(ANNA)
  await before.putLastHousehold("anna", "h-1")
  await before.putToldHouseholds("anna", [{ id: "h-1", name: "Home", role: "owner", status: "ready" }])
  await before.putPeople("h-1", { ben: "Ben" })
  before.close()
  const registry = await newRegistry()
  expect(await registry.lastUser()).toEqual(ANNA)
  expect(await registry.lastHousehold("anna")).toBe("h-1")
  expect(await registry.lastHousehold("ben")).toBeNull()
  expect((await registry.toldHouseholds("anna")).map(({ name: told }) => told)).toEqual(["Home"])
  expect(await registry.toldHouseholds("ben")).toEqual([])
  expect(await registry.people("h-1")).toEqual({ ben: "Ben" })
})

test("what the browser has deleted is told once, by name", async () => {
  const before = await newRegistry()
  await before.put(replica("1"))
  await before.put(replica("2"))
  const registry = await evict(before)
  expect(await registry.evicted()).toEqual([
    { household: "h-1", name: "Household 1" },
    { household: "h-2", name: "Household 2" },
  ])
  await registry.forgetEvicted()
  expect(await registry.evicted()).toEqual([])
})

test("nothing that is here is ever taken for deleted, and all that was is told", async () => {
  const steps = fc.array(fc.constantFrom("1", "2", "3", "evict"), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      storage = new FakeStorage()
      let registry = await evict(await newRegistry())
      let here = new Set<string>()
      for (const step of plan) {
        if (step !== "evict") {
          await registry.put(replica(step))
          here.add(step)
          expect(await registry.evicted()).toEqual([])
          continue
        }
        registry = await evict(registry)
        const told = (await registry.evicted()).map(({ household }) => household)
        expect(new Set(told)).toEqual(new Set([...here].map((id) => `h-${id}`)))
        await registry.forgetEvicted()
        here = new Set()
      }
    }),
    { numRuns: 15 },
  )
})

test.each(["", "{", "7", '{"a":1}', '[{"household":7},null]'])(
  "a mark that somebody has changed tells of nothing: %s",
  async (text) => {
    storage.items.set("finwise.kept", text)
    expect(await (await newRegistry()).evicted()).toEqual([])
  },
)

test("where nothing can be marked, households are kept all the same", async () => {
  const registry = await newRegistry()
  storage.isForbidden = true
  await registry.put(replica("1"))
  expect((await registry.replicasOf("anna")).map(({ id }) => id)).toEqual(["1"])
  expect(await registry.evicted()).toEqual([])
})

test("a browser that gives no database is told in words", async () => {
  const registry = await newRegistry()
  registry.close()
  await expect(registry.replicasOf("anna")).rejects.toMatchObject({ code: "storage_gone" })
})
