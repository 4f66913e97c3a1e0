// What is told of a reset, until its snapshot begins.

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test } from "vitest"

import type { ResetReason, Welcome } from "../../sync/core/messages"
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

const page = (cursor: string) =>
  data.onChanges({ type: "changes", rows: [], from: 0, to: 1, cursor, more: false, head: 1 })

const welcomed = (reset: ResetReason) =>
  data.onWelcome({
    type: "welcome",
    timeMs: 1_700_000_000_000,
    head: 1,
    role: "owner",
    version: "",
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
