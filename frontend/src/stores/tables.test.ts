// The browser's half of docs/extending.md, followed to the letter.

import { readFileSync } from "node:fs"

import Dexie from "dexie"
import { createPinia, setActivePinia } from "pinia"
import { afterEach, expect, test, vi } from "vitest"

import { DataService } from "../services/DataService"
import { provideServices } from "../services/ports"
import { BUILT_IN } from "../sync/entities"
import { chanceOf, worldOf } from "../services/testing/world"
import { followTables } from "./tables"
import { usePayeeStore } from "./testing/payeeStore"

const PAGE = readFileSync(new URL("../../../docs/extending.md", import.meta.url), "utf8")
const STORE = readFileSync(new URL("./testing/payeeStore.ts", import.meta.url), "utf8")
const LINES_MAX = 10

const names = () => usePayeeStore().payees.map((payee) => payee.name)
const block = /<!-- browser: .+? -->\n\n```ts\n(.*?)^```$/ms.exec(PAGE)?.[1] ?? ""

afterEach(async () => {
  await followTables(null)
  provideServices(null)
  await Dexie.delete("payees")
})

test("the page shows the store that is tested here", () => {
  expect(block).toBe(STORE.replaceAll('"../', '"./'))
})

test("besides its types a table takes no more than ten lines", () => {
  const types = /export interface .*?^}\n/ms.exec(block)?.[0] ?? ""
  const lines = block.replace(types, "").split("\n")
  const written = lines.filter((line) => line.trim() !== "" && !line.startsWith("import "))
  expect(types).not.toBe("")
  expect(written.length).toBeGreaterThan(0)
  expect(written.length).toBeLessThanOrEqual(LINES_MAX)
})

test("afterwards payees are typed, checked, kept, listed and queued", async () => {
  setActivePinia(createPinia())
  const store = usePayeeStore()
  const told = BUILT_IN["account_group"]
  const text = BUILT_IN["account"]?.fields["note"]
  const name = told?.fields["name"]
  if (text === undefined || name === undefined) throw new Error("no fields")
  const birth = { user: "", household: "h", householdName: "H", deviceName: "d", app: "a" }
  const data = await DataService.open(
    "payees",
    birth,
    { committed: () => undefined, troubled: () => undefined },
    worldOf(chanceOf(1), () => 1_800_000_000_000),
    { payee: { readOnly: false, fields: { name, website: text } } },
  )
  const edits = Object.assign(data, { shownOf: () => ({}) })
  provideServices({ edits } as never)
  await followTables((entity, listener) => data.view.watch(entity, listener))

  const rewe = await store.create({ name: "REWE" })
  await store.create({ name: "Bäckerei" })
  await store.edit(rewe, { website: "rewe.example" })
  await vi.waitFor(() => {
    expect(store.payees.map((payee) => [payee.name, payee.website])).toEqual([
      ["Bäckerei", ""],
      ["REWE", "rewe.example"],
    ])
  })
  await expect(store.create({ name: "" })).rejects.toMatchObject({ code: "required" })
  await store.remove(rewe)
  await vi.waitFor(() => {
    expect(names()).toEqual(["Bäckerei"])
  })
  expect((await data.standing(9)).counts.pending).toBeGreaterThan(1)
  data.close()
})
