// What is told of a reset, until its snapshot is taken.

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test } from "vitest"

import type { ResetReason, Welcome, WireRow } from "../../sync/core/messages"
import { DataService } from "../DataService"

let name: string
let data: DataService

beforeEach(async () => {
  name = `hearing-${Math.random().toString(36).slice(2)}`
  const birth = {
    user: "11111111-1111-4111-8111-111111111111",
    household: "22222222-2222-4222-8222-222222222222",
    householdName: null,
    deviceName: "Test",
    app: "test",
  }
  data = await DataService.open(name, birth, { committed: () => undefined, troubled: () => undefined })
  await data.takeLease()
})

afterEach(async () => {
  data.close()
  await Dexie.delete(name)
})

const page = (cursor: string, rows: WireRow[] = []) =>
  data.onChanges({ type: "changes", rows, from: 0, to: 1, cursor, more: false, head: 1 })

const welcomed = (reset: ResetReason | null, version = "") =>
  data.onWelcome({
    type: "welcome",
    timeMs: 1_700_000_000_000,
    head: 1,
    role: "owner",
    version,
    entities: {},
    limits: { frameBytes: 1_048_576, batchRows: 500, batchBytes: 524_288, rowBytes: 262_144, heartbeatMs: 20_000 },
    resume: false,
    reset,
    identity: "kept",
    created: false,
    user: "",
  } satisfies Welcome)

test("hello goes on saying the cursor from before a reset, until the snapshot's first page", async () => {
  await page("before")
  await welcomed("operator")
  expect(await data.pull(true)).toMatchObject({ cursor: null })
  expect(await data.hello()).toMatchObject({ cursor: "before", reset: "operator" })
  await welcomed("restored") // the household was restored meanwhile: that cursor told
  expect(await data.hello()).toMatchObject({ cursor: "before", reset: "restored" })
  await page("after")
  expect(await data.hello()).toMatchObject({ cursor: "after" })
})

test("what a row held goes before its edit, where a snapshot has of it only that it was deleted", async () => {
  const row = { entity: "account_group", id: "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d" }
  const [stamp, gone] = ["000000000005-0000-00000000000000bb", "000000000009-0000-00000000000000bb"]
  await page("before", [
    { ...row, fields: { name: "Giro", sortOrder: 0, image: "", exists: true }, stamp },
  ])
  await data.edit(row.entity, row.id, { sortOrder: 7 })
  await welcomed("horizon")
  await page("after", [{ ...row, fields: { exists: false }, stamp: gone }])
  const whole = { name: "Giro", sortOrder: 0, image: "", exists: false }
  expect(await data.rowsToHeal()).toMatchObject({
    rows: [{ ...row, fields: whole, stamp, stamps: { exists: gone } }],
  })
  expect(await data.push()).toMatchObject({ changes: [{ fields: { sortOrder: 7 } }] })
})

test("what was parked while healing is sent by a conversation that begins with healing", async () => {
  const row = { entity: "budget", id: "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d" }
  const stamp = "000000000005-0000-00000000000000bb"
  await page("before", [{ ...row, fields: { name: "Urlaub", exists: true }, stamp }])
  await welcomed("restored")
  await page("after")
  expect(await data.rowsToHeal()).toMatchObject({ rows: [row], last: true })
  const refused = { ...row, code: "unknown", message: "Not yet." } as const
  await data.onAck({ type: "ack", of: "rows", refusedRows: [refused], head: 1 })
  expect(await data.hello()).toMatchObject({ reset: null })
  expect(await welcomed(null, "newer")).toBe(true)
  expect(await data.hello()).toMatchObject({ reset: "restored" })
  expect(await welcomed(null, "newer")).toBe(false)
  expect(await data.rowsToHeal()).toMatchObject({ rows: [{ ...row, stamp }], last: true })
})
