// What a conversation does with what it hears, beside what the simulation plays.

import Dexie from "dexie"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"

import type { DownFrame, UpFrame } from "../../sync/core/messages"
import { BUILT_IN } from "../../sync/entities"
import { DataService } from "../DataService"
import { chanceOf, worldOf } from "../testing/world"
import { Conversation } from "./conversation"

const NOW_MS = 1_800_000_000_000
const WELCOME: DownFrame = {
  type: "welcome",
  timeMs: NOW_MS,
  head: 0,
  role: "owner",
  version: "1",
  entities: BUILT_IN,
  limits: {},
  resume: false,
}

let name: string
let data: DataService
let talk: Conversation
let sent: UpFrame[]
let ended: number[]
let isOwn: boolean

beforeEach(async () => {
  name = `talk-${Math.random().toString(36).slice(2)}`
  ;[sent, ended, isOwn] = [[], [], true]
  const birth = { user: "anna", household: "h", householdName: null, deviceName: "d", app: "a" }
  data = await DataService.open(
    name,
    birth,
    { committed: () => undefined, troubled: () => undefined },
    worldOf(chanceOf(1), () => NOW_MS),
  )
  talk = new Conversation(
    data,
    {
      connect: () => undefined,
      disconnect: (_, code) => ended.push(code),
      send: (_, text) => sent.push(JSON.parse(text) as UpFrame),
      moved: () => undefined,
      leaseLost: () => ended.push(0),
      householdMoved: () => undefined,
      welcomed: () => Promise.resolve(isOwn),
    },
    () => 0,
  )
  await data.create("account_group", { name: "Giro" })
  await talk.take({ type: "asked" })
  await talk.take({ type: "opened", generation: 1 })
})

afterEach(async () => {
  data.close()
  await Dexie.delete(name)
})

const hear = (frame: DownFrame | string) =>
  talk.received(1, typeof frame === "string" ? frame : JSON.stringify(frame))
const types = () => sent.map((frame) => frame.type)

test("it pulls first, and pushes what is open when it has read up to the head", async () => {
  await hear(WELCOME)
  expect(types()).toEqual(["hello", "pull"])
  const page = { type: "changes", rows: [], from: 0, to: 0, cursor: "c", more: false, head: 0 }
  await hear(page as DownFrame)
  expect(types()).toEqual(["hello", "pull", "push"])
})

test("a server that takes this device for somebody else's is sent nothing, and changes nothing", async () => {
  isOwn = false
  const before = await data.meta()
  await hear({ ...WELCOME, user: "ben", identity: "taken" })
  expect(types()).toEqual(["hello"])
  expect(talk.session).toMatchObject({ phase: "stopped", reason: "left" })
  expect(ended).toEqual([1000])
  expect(await data.meta()).toEqual(before)
  expect((await data.standing(9)).counts.pending).toBe(1)
})

describe("what is no frame of the protocol ends the connection and changes nothing", () => {
  test.each(["<html>Sign in to the hotel's network</html>", "{", "[]", '{"type":"dance"}'])(
    "%s",
    async (text) => {
      await hear(WELCOME)
      const before = await data.meta()
      await hear(text)
      expect(ended).toEqual([1002])
      expect(talk.session.phase).toBe("offline")
      expect(talk.session.retryAtMs).toBeGreaterThanOrEqual(0)
      expect(await data.meta()).toEqual(before)
    },
  )
})

test("a word of an older socket is not heard", async () => {
  await talk.received(0, JSON.stringify(WELCOME))
  expect(types()).toEqual(["hello"])
  expect((await data.meta()).version).toBe("")
})

test("it ends when another tab has begun a conversation", async () => {
  const other = await DataService.open(name, null, {
    committed: () => undefined,
    troubled: () => undefined,
  })
  await other.takeLease()
  await hear(WELCOME)
  expect(ended).toEqual([0])
  expect((await data.meta()).version).toBe("")
  other.close()
})

test("after an answer the head is not confirmed until the server has told it", async () => {
  await hear(WELCOME)
  const page = { type: "changes", rows: [], from: 0, to: 0, cursor: "c", more: false, head: 0 }
  await hear(page as DownFrame)
  await hear({ type: "ack", of: "push", results: [{ number: 1, fate: "applied" }] })
  expect(talk.isConfirmed).toBe(false)
  await hear({ type: "news", head: 1 })
  expect(talk.isConfirmed).toBe(true)
})

test("somebody on the way who takes less is sent less, but never nothing", async () => {
  await data.create("account_group", { name: "Bar" })
  expect(await data.push()).toMatchObject({ changes: [{ number: 1 }, { number: 2 }] })
  for (let n = 0; n < 20; n++) await talk.closed(1, 1009)
  const push = await data.push()
  expect(push.type === "push" ? push.changes : []).toHaveLength(1)
})

test("what is cut off on its way is tried in smaller portions, which grow when they get through", async () => {
  for (let n = 0; n < 63; n++) await data.create("account_group", { name: `Gruppe ${n}` })
  const page = { type: "changes", rows: [], from: 0, to: 0, cursor: "c", more: false, head: 0 }
  const portions: number[] = []
  for (let generation = 1; generation < 5; generation++) {
    sent.length = 0
    if (generation > 1) {
      await talk.take({ type: "asked" })
      await talk.take({ type: "opened", generation })
    }
    await talk.received(generation, JSON.stringify({ ...WELCOME, limits: { batchRows: 64 } }))
    await talk.received(generation, JSON.stringify(page))
    const push = sent.find((frame) => frame.type === "push")
    portions.push(push?.changes.length ?? 0)
    if (generation < 4) await talk.closed(generation, 1006)
  }
  expect(portions).toEqual([64, 16, 4, 1])
  for (let number = 1; number < 5; number++) {
    sent.length = 0
    const results = [{ number, fate: "applied" }]
    await talk.received(4, JSON.stringify({ type: "ack", of: "push", results }))
    const push = sent.find((frame) => frame.type === "push")
    portions.push(push?.changes.length ?? 0)
  }
  expect(portions.slice(4)).toEqual([2, 2, 2, 3])
})

test("a push that is forbidden says what its person may do by now, and settles nothing", async () => {
  await hear(WELCOME)
  const page = { type: "changes", rows: [], from: 0, to: 0, cursor: "c", more: false, head: 0 }
  await hear(page as DownFrame)
  await hear({ type: "error", of: "push", code: "forbidden", message: "no", retryable: false })
  expect((await data.meta()).role).toBe("viewer")
  expect((await data.standing(9)).counts.pending).toBe(1)
  await data.discardUnsendable()
  expect((await data.standing(9)).counts.pending).toBe(0)
})

test("many edits in a moment do not hold up what comes after them", async () => {
  await hear(WELCOME)
  const looks = vi.spyOn(data, "facts")
  for (let n = 0; n < 1_000; n++) void talk.take({ type: "edited" })
  await talk.take({ type: "asked" })
  expect(looks.mock.calls.length).toBe(2)
})

test("an edit made while the one before is looked at is looked at, too", async () => {
  await hear(WELCOME)
  await hear({ type: "changes", rows: [], from: 0, to: 0, cursor: "c", more: false, head: 0 })
  const push = sent.find((frame) => frame.type === "push")
  const results = push?.type === "push" ? push.changes.map(({ number }) => ({ number, fate: "applied" as const })) : []
  await hear({ type: "ack", of: "push", results, head: 1, anchor: "" })
  const looks = vi.spyOn(data, "facts")
  looks.mockImplementationOnce(async () => {
    looks.mockRestore()
    const before = await data.facts()
    await data.create("account_group", { name: "Depot" })
    void talk.take({ type: "edited" })
    return before
  })
  await talk.take({ type: "edited" })
  await talk.settled()
  expect(types().filter((type) => type === "push")).toHaveLength(2)
})
