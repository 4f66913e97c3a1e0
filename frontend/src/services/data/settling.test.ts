// Answers that meet a page which was told meanwhile.

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test } from "vitest"

import type { Changes, WireRow } from "../../sync/core/messages"
import { DataService } from "../DataService"

const GROUP = "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d"
const OTHER = "00000000000000bb"
const at = (ms: number) => `${ms.toString(16).padStart(12, "0")}-0000-${OTHER}`

let name: string
let data: DataService

beforeEach(async () => {
  name = `settling-${Math.random().toString(36).slice(2)}`
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

const here: WireRow = {
  entity: "account_group",
  id: GROUP,
  fields: { name: "Giro", sortOrder: 0, image: "", exists: true },
  stamp: at(5),
}
const gone: WireRow = { ...here, fields: { ...here.fields, exists: false }, stamps: { exists: at(9) } }

const told = (rows: WireRow[], from: number, to: number, more = false) =>
  data.onChanges({
    type: "changes",
    rows,
    from,
    to,
    cursor: `${String(from)}-${String(to)}`,
    more,
    head: to,
  } satisfies Changes)

/** The queue is sent and taken; returns the stamp of what was sent. */
async function taken(head: number): Promise<string> {
  const frame = await data.push()
  if (frame.type !== "push") throw new Error(frame.type)
  const results = frame.changes.map(({ number }) => ({ number, fate: "applied" as const }))
  await data.onAck({ type: "ack", of: "push", results, head, anchor: "" })
  return frame.changes[0]?.stamp ?? ""
}

/** The tombstone was compacted meanwhile: of this delete the server holds the bare fact. */
const bare = (stamp: string): WireRow => ({ ...here, fields: { exists: false }, stamp, stamps: {} })

const fieldsInBase = async () => {
  const { base = [] } = await data.everything()
  return base.map((row) => (row as WireRow).fields)
}

test("of a tombstone that an open walk has told nothing remains when it was compacted", async () => {
  await told([here], 0, 1)
  await told([gone], 1, 2, true)
  await data.remove("account_group", GROUP) // the walk is not shown before it is complete
  await told([bare(await taken(3))], 2, 3)
  expect(await fieldsInBase()).toEqual([{ exists: false }])
})

test("nor when the walk itself tells what was made of it since", async () => {
  await told([here], 0, 1)
  await told([gone], 1, 2, true)
  await told([bare(at(12))], 2, 3, true)
  expect(await fieldsInBase()).toEqual([here.fields]) // nothing is shown before it is complete
  await told([], 3, 4)
  expect(await fieldsInBase()).toEqual([{ exists: false }])
})

test("nor of one that was told after the row had been deleted here", async () => {
  await told([here], 0, 1)
  await data.remove("account_group", GROUP)
  await told([gone], 1, 2)
  const stamp = await taken(3)
  await told([gone], 2, 2) // read before, and late
  await told([bare(stamp)], 2, 3)
  expect(await fieldsInBase()).toEqual([{ exists: false }])
})

test("what has to wait for a newer server stays after the change before it that was re-stamped", async () => {
  await told([here], 0, 1)
  await data.edit("account_group", GROUP, { name: "eins", sortOrder: 1 })
  await data.edit("account_group", GROUP, { name: "zwei" })
  await data.push()
  const given = at(Date.now() + 1_000)
  const results = [
    { number: 1, fate: "applied", stamp: given } as const,
    { number: 2, fate: "refused", code: "unknown", message: "Not yet." } as const,
  ]
  await data.onAck({ type: "ack", of: "push", results, head: 2, anchor: "" })
  const { outbox = [] } = await data.everything()
  expect(outbox).toMatchObject([{ state: "parked", fields: { name: "zwei" } }])
  expect((outbox[0] as { stamp: string }).stamp > given).toBe(true)
})
