import "fake-indexeddb/auto"

import { afterEach, beforeEach, expect, test } from "vitest"

import type { WireRow } from "../../sync/core/messages"
import { takeIntoBase } from "./base"
import { ReplicaDatabase, type StoredRow, rowOf, stored } from "./database"
import { deleteHealed, hasHealRows, healAgain, healRowAt, putHealed, waitingRows } from "./heal"

const GROUP = "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d"
const at = (ms: number) => `${ms.toString(16).padStart(12, "0")}-0000-00000000000000aa`

let db: ReplicaDatabase

beforeEach(() => {
  db = new ReplicaDatabase(`base-${String(Math.random())}`)
})

afterEach(async () => {
  await db.delete()
})

function group(name: string, ms: number, stamps: Record<string, string> = {}): WireRow {
  const fields = { name, sortOrder: 0, exists: true }
  return { entity: "account_group", id: GROUP, fields, stamp: at(ms), stamps }
}

const take = (wire: WireRow, head: number) =>
  db.within("rw", async (tables) => (await takeIntoBase(tables, [wire], head)).length)

const revive = (row: StoredRow, revivedAt: number) =>
  db.within("rw", (tables) => tables.base.put({ ...row, revivedAt }))

async function nameInBase() {
  const found = await db.within("r", (tables) => tables.base.get(["account_group", GROUP]))
  return found?.fields["name"]
}

test("a newer value stays when a page tells an older one: the server may have been restored", async () => {
  await take(group("neuer", 9), 1)
  expect(await take(group("älter", 5), 2)).toBe(0)
  expect(await nameInBase()).toBe("neuer")
})

test("of a row that is deleted here nothing remains when the server has made it anew", async () => {
  const gone = group("neuer", 9)
  await take({ ...gone, fields: { ...gone.fields, exists: false } }, 1)
  await take(group("älter", 5, { exists: at(12) }), 2)
  expect(await nameInBase()).toBe("älter")
})

test("nor of one that an ack has brought back, as soon as a page is read later than that", async () => {
  await revive(group("neuer", 9), 4)
  await take(group("älter", 5, { sortOrder: at(12) }), 3)
  expect(await nameInBase()).toBe("neuer")
  await take(group("älter", 5), 4)
  expect(await nameInBase()).toBe("älter")
  await take(group("neuer", 9), 5)
  await take(group("älter", 5), 6)
  expect(await nameInBase()).toBe("neuer")
})

test("what was healed stays until a page has told it, and is sent again after a restore", async () => {
  const row = rowOf(stored(rowOf(group("geheilt", 5))))
  const look = () =>
    db.within("rw", async (tables) => ({
      isThere: (await healRowAt(tables, "account_group", GROUP)) !== null,
      isToSend: (await hasHealRows(tables)) && (await waitingRows(tables, 9)).length === 1,
    }))
  await db.within("rw", (tables) => putHealed(tables, row, 7))
  expect(await look()).toEqual({ isThere: true, isToSend: false })
  expect(await db.within("rw", (tables) => deleteHealed(tables, 6))).toEqual([])
  await db.within("rw", (tables) => healAgain(tables))
  expect(await look()).toEqual({ isThere: true, isToSend: true })
  expect(await db.within("rw", (tables) => deleteHealed(tables, 9))).toEqual([])
  await db.within("rw", (tables) => putHealed(tables, row, 8))
  expect(await db.within("rw", (tables) => deleteHealed(tables, 8))).toEqual([["account_group", GROUP]])
  expect(await look()).toEqual({ isThere: false, isToSend: false })
})
