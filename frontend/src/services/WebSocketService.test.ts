// The connection as its household has it: it comes back by itself, hears only the socket that
// counts, and says how things stand in every tab.

import Dexie from "dexie"
import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"

import { BACKOFF_CAP_MS, BEAT_MS, SOON_MS, TOO_FAST_MS } from "../sync/core/session"
import { BUILT_IN } from "../sync/entities"
import type { Welcome } from "../sync/core/messages"
import { DataService } from "./DataService"
import { ABSENT, type Answering, BLACK_HOLE, type FakePage, SILENT, closePage, openPage, pass, rest, until } from "./testing/page"
import { HouseholdServer } from "./testing/server"
import { serving } from "./testing/serving"
import { FakeChannel } from "./testing/tabs"
import { chanceOf, worldOf } from "./testing/world"
import { type Picture, WebSocketService } from "./WebSocketService"

const ANNA = "anna"

interface Tab {
  readonly data: DataService
  readonly service: WebSocketService
  readonly pictures: Picture[]
  readonly told: string[]
  mayConnect: () => Promise<boolean>
}

let page: FakePage
let name: string
let tabs: Tab[]
let server: HouseholdServer

beforeEach(() => {
  page = openPage()
  name = `socket-${Math.random().toString(36).slice(2)}`
  tabs = []
  server = new HouseholdServer(chanceOf(7), () => Date.now(), BUILT_IN)
})

afterEach(async () => {
  for (const { service, data } of tabs) {
    await service.end()
    data.close()
  }
  closePage()
  await Dexie.delete(name)
})

async function newTab({ chance = 0.5 } = {}): Promise<Tab> {
  const birth = { user: ANNA, household: "h", householdName: null, deviceName: "d", app: "a" }
  const data = await DataService.open(
    name,
    tabs.length === 0 ? birth : null,
    {
      committed: (isEdit) => {
        if (isEdit) void tab.service.edited()
      },
      troubled: () => undefined,
    },
    { ...worldOf(chanceOf(tabs.length + 1), () => Date.now()), chance: () => chance },
  )
  const pictures: Picture[] = []
  const told: string[] = []
  const service = new WebSocketService(data, (household) => `ws://test/${household}`, {
    pictured: (picture) => pictures.push(picture),
    signedOut: () => told.push("signed out"),
    welcomed: ({ role }: Welcome) => {
      told.push(`welcomed as ${role}`)
      return Promise.resolve(true)
    },
    householdMoved: (household) => told.push(`moved to ${household}`),
    mayConnect: () => tab.mayConnect(),
  })
  const tab: Tab = { data, service, pictures, told, mayConnect: () => Promise.resolve(true) }
  tabs.push(tab)
  return tab
}

async function connectedTab(answering = serving(server)): Promise<Tab> {
  page.answering = answering
  const tab = await newTab()
  tab.service.start()
  await rest()
  return tab
}

const phaseOf = ({ service }: Tab) => service.picture().phase
const add = ({ data }: Tab, text: string) => data.create("account_group", { name: text })
const pushed = () =>
  page.socket.sent.flatMap((frame) => (frame.type === "push" ? frame.changes : []))
const onServer = () => [...server.rows().values()].map((row) => row.fields["name"])

test("killed between the server's answer and its own note of it, it sends again, with one effect: A06", async () => {
  const killed = await connectedTab(serving(server, { unheard: new Set(["ack"]) }))
  await add(killed, "Giro")
  await until(() => onServer().length === 1)
  const sent = pushed()
  await killed.service.end()
  killed.data.close()
  tabs = []

  const again = await connectedTab()
  expect((await again.data.meta()).nextNumber).toBe(2)
  await until(() => phaseOf(again) === "idle")
  expect(pushed()).toEqual(sent)
  expect((await again.data.standing(1)).counts.pending).toBe(0)
  expect(onServer()).toEqual(["Giro"])
  expect(new Set(server.effects.values())).toEqual(new Set([1]))
})

test("it pulls, sends what is open, and is idle; an edit goes out at once", async () => {
  page.answering = serving(server)
  const tab = await newTab()
  await add(tab, "Giro")
  tab.service.start()
  await until(() => phaseOf(tab) === "idle" && onServer().length === 1)
  expect(page.socket).toMatchObject({ url: "ws://test/h", protocol: "finwise.sync.v1" })
  await add(tab, "Bar")
  await until(() => onServer().length === 2)
  expect(onServer()).toEqual(["Giro", "Bar"])
  expect(page.sockets).toHaveLength(1)
})

describe("a socket that is not the one any more", () => {
  test("neither opens, nor is heard, nor ends the conversation of the next: I07", async () => {
    const tab = await connectedTab(BLACK_HOLE)
    const late = page.socket
    page.online(false)
    await rest()
    page.answering = serving(server)
    page.online(true)
    await until(() => phaseOf(tab) === "idle")
    expect(page.sockets).toHaveLength(2)
    const before = await tab.data.meta()
    late.open()
    late.hear({ type: "news", head: 99 })
    late.hear("<html>")
    late.end(4403)
    await rest()
    expect(late.sent).toEqual([])
    expect(phaseOf(tab)).toBe("idle")
    expect(await tab.data.meta()).toEqual(before)
    expect(tab.told).toEqual(["welcomed as owner"])
  })

  test("is never opened, if asking whether it may be took until the next attempt", async () => {
    page.answering = serving(server)
    const tab = await newTab()
    const answers: ((may: boolean) => void)[] = []
    tab.mayConnect = () => new Promise((answer) => answers.push(answer))
    tab.service.start()
    await until(() => answers.length === 1)
    while (answers.length < 2) await pass(10_000)
    answers[1]?.(true)
    await until(() => phaseOf(tab) === "idle")
    answers[0]?.(true)
    await rest()
    expect(page.sockets).toHaveLength(1)
    expect(phaseOf(tab)).toBe("idle")
  })
})

describe("what the code of a close means", () => {
  test.each([
    [4401, "sign_in", ["signed out"]],
    [4403, "not_allowed", []],
    [4426, "upgrade_needed", []],
  ])("%i: nothing more is tried until its person does something", async (code, reason, told) => {
    const tab = await connectedTab(SILENT)
    page.socket.end(code)
    await pass(10 * BACKOFF_CAP_MS)
    expect(tab.service.picture()).toMatchObject({ phase: "stopped", reason, retryInMs: null })
    expect(page.sockets).toHaveLength(1)
    expect(tab.told).toEqual(told)
  })

  test.each([
    [1006, 0, 1_000],
    [1011, 0, 1_000],
    [4400, 0, 1_000],
    [1012, 0, SOON_MS],
    [1013, 0, SOON_MS],
    [4429, TOO_FAST_MS, TOO_FAST_MS + 1_000],
  ])("%i: it is tried again by itself, after %i to %i ms", async (code, leastMs, mostMs) => {
    const tab = await connectedTab(SILENT)
    page.socket.end(code)
    await rest()
    const { phase, retryInMs } = tab.service.picture()
    expect(phase).toBe("offline")
    expect(retryInMs).toBeGreaterThanOrEqual(leastMs)
    expect(retryInMs).toBeLessThanOrEqual(mostMs)
    page.answering = serving(server)
    await pass(mostMs + 10)
    await until(() => phaseOf(tab) === "idle")
    expect(page.sockets).toHaveLength(2)
  })

  test.each([1009, 4413])("%i: what is sent next is smaller", async (code) => {
    const tab = await connectedTab(SILENT)
    const carryLess = vi.spyOn(tab.data, "carryLess")
    page.socket.end(code)
    await rest()
    expect(carryLess).toHaveBeenCalledOnce()
  })
})

test("it hangs up with codes that a browser lets a page use", async () => {
  const tab = await connectedTab()
  await until(() => phaseOf(tab) === "idle")
  page.socket.hear("<html>Sign in to the hotel's network</html>")
  await until(() => phaseOf(tab) === "offline")
  expect(page.sockets[0]?.hungUp).toBe(3002)
})

describe("where no server answers", () => {
  test("the waits grow up to a bound, and chance spreads them: B08", async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 0.999, noNaN: true }), async (chance) => {
        page.answering = ABSENT
        name = `${name}x`
        tabs = []
        const tab = await newTab({ chance })
        tab.service.start()
        await rest()
        for (let attempt = 0; attempt < 9; attempt++) {
          const { retryInMs, attempt: told } = tab.service.picture()
          const boundMs = Math.min(1_000 * 2 ** (told - 1), BACKOFF_CAP_MS)
          expect(told).toBe(attempt + 1)
          expect(Math.abs((retryInMs ?? NaN) - chance * boundMs)).toBeLessThanOrEqual(2)
          await pass((retryInMs ?? 0) + 2)
        }
        await tab.service.end()
        tab.data.close()
        await Dexie.delete(name)
      }),
      { numRuns: 4 },
    )
    tabs = []
  })

  test("hundreds of attempts leave no socket, no timer and no listener behind: B12", async () => {
    const tab = await connectedTab(ABSENT)
    const [timers, listeners] = [vi.getTimerCount(), page.listeners]
    for (let n = 0; n < 300; n++) {
      page.online(true)
      await until(() => page.sockets.length > n + 1)
    }
    await rest()
    expect(page.alive).toEqual([])
    expect(vi.getTimerCount()).toBeLessThanOrEqual(timers)
    expect(page.listeners).toBe(listeners)
    await tab.service.end()
    expect(page.listeners).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  test("after a success the waits begin small again: B08", async () => {
    const tab = await connectedTab(ABSENT)
    for (let n = 0; n < 6; n++) await pass(BACKOFF_CAP_MS)
    page.answering = serving(server)
    await pass(BACKOFF_CAP_MS)
    await until(() => phaseOf(tab) === "idle")
    page.answering = ABSENT
    page.socket.end(1006)
    await rest()
    expect(tab.service.picture().retryInMs).toBeLessThanOrEqual(1_000)
  })
})

describe("the heartbeat", () => {
  test("asks every beat whether the server is there, and what its head is", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    await pass(3 * BEAT_MS + 100)
    expect(page.socket.types.filter((type) => type === "ping")).toHaveLength(3)
    expect(tab.service.picture().heardAgoMs).toBeLessThan(BEAT_MS)
  })

  test("replaces a socket that does not answer any more, though nobody has closed it: I05", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    const [dead] = page.sockets
    const { answering } = page
    const said: Answering["said"] = (socket, frame) => {
      if (socket !== dead) answering.said(socket, frame)
    }
    page.answering = { ...answering, said }
    await pass(4 * BEAT_MS)
    await until(() => phaseOf(tab) === "idle")
    expect(dead?.hungUp).not.toBeNull()
    expect(page.alive).toEqual([page.socket])
    expect(page.socket).not.toBe(dead)
  })
})

describe("what the machine says", () => {
  test("no network: the socket is given up at once, and none is opened until there is one", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    page.online(false)
    await rest()
    expect(phaseOf(tab)).toBe("offline")
    await pass(5 * BACKOFF_CAP_MS)
    expect(page.sockets).toHaveLength(1)
    page.online(true)
    await until(() => phaseOf(tab) === "idle")
    expect(page.alive).toEqual([page.socket])
  })

  test("another network without a moment in between: the old socket ends, and a new one is there at once: I03", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    const old = page.socket
    const answering = serving(server)
    // To the old address nothing comes any more, and nothing goes.
    page.answering = { ...answering, said: (socket, frame) => { if (socket !== old) answering.said(socket, frame) } }
    page.online(true)
    await until(() => page.sockets.length === 2 && phaseOf(tab) === "idle")
    expect(old.hungUp).not.toBeNull()
    expect(page.alive).toEqual([page.socket])
  })

  test("a socket that was begun before the machine says that it has a network again is kept", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    page.online(false)
    await rest()
    page.navigator.onLine = true
    await pass(5_000) // the retry timer is earlier than the word
    await until(() => phaseOf(tab) === "idle")
    page.online(true)
    await rest()
    expect(page.sockets).toHaveLength(2)
    expect(page.alive).toEqual([page.socket])
  })

  test("the network has cut the socket: a new one is there within 5 s: I03", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    page.socket.end(1006)
    await pass(5_000)
    await until(() => phaseOf(tab) === "idle")
    expect(page.sockets).toHaveLength(2)
  })

  test("the page is seen again after a sleep: the old socket is not believed: I04", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    const [old] = page.sockets
    page.show("hidden")
    // Asleep: no timer runs, the clocks go on.
    vi.setSystemTime(Date.now() + 8 * 3600_000)
    page.show("visible")
    await until(() => page.sockets.length === 2 && phaseOf(tab) === "idle")
    expect(old?.hungUp).not.toBeNull()
  })

  test("the page is seen again: the server is asked, over the socket that there is", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    page.show("hidden")
    const before = page.socket.sent.length
    page.show("visible")
    await until(() => page.socket.sent.length > before)
    expect(page.socket.types.slice(before)).toEqual(["pull"])
    expect(page.sockets).toHaveLength(1)
  })

  test("the page is put aside: it hangs up, and comes back when it is shown", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    page.window.dispatchEvent(new Event("pagehide"))
    await until(() => page.alive.length === 0)
    await pass(10_000)
    expect(page.sockets).toHaveLength(1)
    page.window.dispatchEvent(new Event("pageshow"))
    await until(() => phaseOf(tab) === "idle" && page.alive.length === 1)
  })
})

describe("a sync by hand ends in an answer", () => {
  test("with what was sent and what was received", async () => {
    const tab = await connectedTab()
    await until(() => phaseOf(tab) === "idle")
    const answering = page.answering
    page.answering = { ...answering, said: () => undefined }
    await add(tab, "Giro")
    page.answering = answering
    page.socket.end(1006)
    await rest()
    expect(await answerTo(tab)).toEqual({ kind: "checked", sent: 1, received: 0 })
  })

  const closing = (code: number): Answering => ({
    ...SILENT,
    opened: (socket) => {
      socket.open()
      socket.end(code)
    },
  })

  test.each<[string, Answering, string]>([
    ["nobody is there", ABSENT, "unreachable"],
    ["nothing comes back", BLACK_HOLE, "unreachable"],
    ["the server asks to sign in", closing(4401), "signed_out"],
    ["the app is too old", closing(4426), "update_needed"],
    ["the household is not this person's", closing(4403), "not_yours"],
  ])("when %s", async (_, answering, reason) => {
    const tab = await connectedTab(answering)
    expect(await answerTo(tab)).toEqual({ kind: "failed", reason })
  })

  test("without a network", async () => {
    const tab = await connectedTab()
    page.online(false)
    await rest()
    expect(await answerTo(tab)).toEqual({ kind: "failed", reason: "offline" })
  })
})

/** What a sync by hand comes to, within the minute that it may take. */
async function answerTo({ service }: Tab): Promise<unknown> {
  let outcome: unknown = null
  void service.syncNow().then((found) => {
    outcome = found
  })
  for (let n = 0; n < 60 && outcome === null; n++) await pass(1_000)
  return outcome
}

describe("two tabs", () => {
  async function twoTabs(): Promise<readonly [Tab, Tab]> {
    const first = await connectedTab()
    await until(() => phaseOf(first) === "idle")
    const second = await newTab()
    second.service.start()
    await rest()
    return [first, second]
  }

  test("have one socket, and tell the same", async () => {
    const [first, second] = await twoTabs()
    expect(page.sockets).toHaveLength(1)
    expect([first.service.isLeader, second.service.isLeader]).toEqual([true, false])
    expect(second.service.picture()).toEqual(first.service.picture())
  })

  test("what one makes the other sends, and a sync by hand in one is answered by the other: J01", async () => {
    const [, second] = await twoTabs()
    await add(second, "Giro")
    await until(() => onServer().length === 1)
    expect(await answerTo(second)).toMatchObject({ kind: "checked" })
    expect(page.sockets).toHaveLength(1)
  })

  test("a sync by hand beside a leader that is frozen is answered by the tab itself", async () => {
    const [first, second] = await twoTabs()
    freeze(first)
    await add(second, "Giro")
    expect(await answerTo(second)).toMatchObject({ kind: "checked" })
    expect(onServer()).toEqual(["Giro"])
    expect(second.service.isLeader).toBe(true)
  })

  test("the light does not flicker when another tab takes over", async () => {
    const [first, second] = await twoTabs()
    await pass(62_000) // long after the second tab was opened, and just after a beat
    second.pictures.length = 0
    first.pictures.length = 0
    freeze(first)
    await pass(8_000)
    await until(() => phaseOf(second) === "idle" && second.service.isLeader)
    thaw(first)
    await rest()
    for (const { pictures } of [first, second]) {
      for (const { awayForMs, heardAgoMs, phase } of pictures) {
        expect(phase).not.toBe("stopped")
        expect(awayForMs ?? 0).toBeLessThan(2_000) // before that nothing is shown
        expect(heardAgoMs).not.toBeNull() // green, because of what the first one has heard
        expect(heardAgoMs).toBeLessThan(25_000)
      }
    }
    expect(first.service.isLeader).toBe(false)
    expect(first.service.picture().phase).toBe("idle")
    expect(page.alive).toHaveLength(1)
  })

  test("a head that an answer may have moved is no evidence for who takes over", async () => {
    const unheard = new Set<string>()
    const first = await connectedTab(serving(server, { unheard }))
    await until(() => phaseOf(first) === "idle")
    const second = await newTab()
    second.service.start()
    await rest()
    unheard.add("changes")
    await add(first, "Giro")
    await until(() => !second.service.picture().isConfirmed)
    expect((await second.data.standing(1)).counts.pending).toBe(0)
    freeze(first)
    page.answering = BLACK_HOLE
    await pass(8_000)
    expect(second.service.isLeader).toBe(true)
    expect(second.service.picture().heardAgoMs).toBeNull()
  })

  test("a leader that thaws sends nothing any more: the other's conversation counts: J02", async () => {
    const [first, second] = await twoTabs()
    freeze(first)
    const old = page.socket
    await add(second, "Giro")
    await pass(8_000)
    await until(() => phaseOf(second) === "idle" && onServer().length === 1)
    const before = old.sent.length
    thaw(first)
    await pass(BEAT_MS)
    expect(old.sent.length).toBe(before)
    expect(new Set(server.effects.values())).toEqual(new Set([1]))
  })

  test("without Web Locks both may talk for a moment; then one does, and all is sent once: J04", async () => {
    delete page.navigator.locks
    page.answering = serving(server)
    const [first, second] = [await newTab(), await newTab()]
    const pair = [first, second]
    for (const { service } of pair) service.start()
    for (let n = 0; n < 4; n++) await add(n % 2 === 0 ? first : second, `Konto ${n}`)
    await pass(2_000)
    await pass(20_000)
    await until(() => onServer().length === 4)
    expect(pair.filter(({ service }) => service.isLeader)).toHaveLength(1)
    expect(page.alive).toHaveLength(1)
    expect(new Set(server.effects.values())).toEqual(new Set([1]))
  })
})

const channelOf = (tab: Tab) =>
  [...FakeChannel.all].filter((each) => each.name === `${name}/tabs`)[tabs.indexOf(tab)]

function freeze(tab: Tab): void {
  channelOf(tab)?.freeze()
}

function thaw(tab: Tab): void {
  channelOf(tab)?.thaw()
}
