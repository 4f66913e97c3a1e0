// Who is signed in, on this device: known without the server, and never guessed.

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test, vi } from "vitest"

import { Registry } from "./registry"
import { SessionService } from "./SessionService"
import { ANNA, BEN, type FakeApi, FakeStorage, openApi } from "./testing/api"

let api: FakeApi
let registry: Registry
let session: SessionService
let events: string[]
let name: string

beforeEach(async () => {
  api = openApi()
  name = `session-${Math.random().toString(36).slice(2)}`
  registry = new Registry(name, new FakeStorage() as unknown as Storage)
  await registry.open()
  events = []
  session = new SessionService(registry, {
    changed: () => undefined,
    told: ({ households }) => events.push(`told ${households.length}`),
    turned: (isSignedIn) => events.push(isSignedIn ? "signed in" : "signed out"),
  })
})

afterEach(async () => {
  registry.close()
  await Dexie.delete(name)
  vi.unstubAllGlobals()
})

test("who was here last is known without the server, but not whether he is signed in", async () => {
  await registry.putLastUser(ANNA)
  api.isReachable = false
  expect(await session.recall()).toEqual(ANNA)
  expect(await session.refresh()).toBe(false)
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: null, other: null })
  expect(session.userId).toBe("anna")
  expect(events).toEqual([])
})

test("the sign-in page of a hotel says nothing about who is signed in: I06", async () => {
  await registry.putLastUser(ANNA)
  await session.recall()
  api.isPortal = true
  expect(await session.refresh()).toBe(false)
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: null })
})

test("who is signed in is remembered, and his households are told", async () => {
  api.user = ANNA
  api.households = [{ id: "h", name: "Home", role: "owner", status: "ready" }]
  expect(await session.refresh({ takesOver: true })).toBe(true)
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: true, signInUrl: "/in" })
  expect(events).toEqual(["told 1"])
  expect(await registry.lastUser()).toEqual(ANNA)
  expect(await registry.toldHouseholds("anna")).toEqual(api.households)
})

test("the end of a session is told once; what was shown goes on belonging to its person", async () => {
  api.user = ANNA
  await session.refresh({ takesOver: true })
  api.user = null
  await session.refresh()
  await session.refresh()
  session.ended()
  expect(events).toEqual(["told 0", "signed out"])
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: false })
  expect(await registry.lastUser()).toEqual(ANNA)
  api.user = ANNA
  await session.refresh()
  expect(events).toEqual(["told 0", "signed out", "told 0", "signed in"])
})

test("somebody else who has signed in meanwhile takes over only when the page is opened", async () => {
  api.user = ANNA
  await session.refresh({ takesOver: true })
  api.user = BEN
  await session.refresh()
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: false, other: BEN })
  expect(await registry.lastUser()).toEqual(ANNA)
  expect(session.isOwn("ben")).toBe(false)
  await session.refresh({ takesOver: true })
  expect(session.state).toMatchObject({ user: BEN, isSignedIn: true, other: null })
  expect(session.isOwn("ben")).toBe(true)
  expect(session.isOwn("anna")).toBe(false)
})

test("what nobody has signed in for is everybody's", () => {
  expect(session.isOwn("ben")).toBe(true)
  expect(session.isOwn("")).toBe(true)
})

test("asked twice at once, the server is asked once", async () => {
  api.user = ANNA
  await Promise.all([session.refresh(), session.refresh(), session.refresh()])
  expect(api.asked).toEqual(["GET /api/session"])
})

test("a late word of the socket before does not outlast the answer that was on its way", async () => {
  api.user = ANNA
  const put = registry.putToldHouseholds.bind(registry)
  const late: Promise<boolean>[] = []
  vi.spyOn(registry, "putToldHouseholds").mockImplementationOnce(async (user, told) => {
    session.ended() // somebody else's household was still being left
    late.push(session.refresh())
    await put(user, told)
  })
  await session.refresh({ takesOver: true })
  await Promise.all(late)
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: true })
})

test("signing out ends the session on the server, and keeps what is here", async () => {
  api.user = ANNA
  await session.refresh({ takesOver: true })
  await session.signOut()
  expect(api.asked).toContain("POST /accounts/logout/")
  expect(session.state).toMatchObject({ user: ANNA, isSignedIn: false })
})

test("without the server nobody is signed out, and nobody is told so", async () => {
  api.user = ANNA
  await session.refresh({ takesOver: true })
  api.isReachable = false
  await expect(session.signOut()).rejects.toMatchObject({ code: "offline" })
  expect(session.state.isSignedIn).toBe(true)
})
