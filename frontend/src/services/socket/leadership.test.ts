// Which tab talks: never none for long while one is looked at, and never two for long.

import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"

import { FakeChannel, FakeLocks } from "../testing/tabs"
import { Leadership } from "./leadership"

const SOON_MS = 1_600 // asked, and not answered
const LATER_MS = 12_000 // the next look at the leader, and all that follows

interface Tab {
  readonly leadership: Leadership
  readonly channel: FakeChannel
  readonly events: string[]
  readonly heard: unknown[]
}

let locks: FakeLocks | null
let tabs: Tab[]
let visibility: "visible" | "hidden"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] })
  vi.stubGlobal("BroadcastChannel", FakeChannel)
  visibility = "visible"
  vi.stubGlobal("document", {
    get visibilityState() {
      return visibility
    },
  })
  locks = new FakeLocks()
  tabs = []
})

afterEach(() => {
  endAll()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function newTab(): Tab {
  const before = new Set(FakeChannel.all)
  const events: string[] = []
  const heard: unknown[] = []
  const leadership = new Leadership(
    "finwise-h",
    {
      led: () => events.push("led"),
      lost: () => events.push("lost"),
      heard: (word) => heard.push(word),
    },
    locks as LockManager | null,
  )
  const [channel] = [...FakeChannel.all].filter((each) => !before.has(each))
  if (channel === undefined) throw new Error("unreachable: every tab opens a channel")
  const tab = { leadership, channel, events, heard }
  tabs.push(tab)
  leadership.start()
  return tab
}

function endAll(): void {
  for (const { leadership } of tabs) leadership.end()
  FakeChannel.all.clear()
  tabs = []
}

function tabAt(n: number): Tab {
  const tab = tabs[n]
  if (tab === undefined) throw new Error(`There is no tab ${n}.`)
  return tab
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const leaders = () => tabs.filter(({ leadership }) => leadership.isLeader)

describe.each([
  ["with Web Locks", true],
  ["without Web Locks", false],
])("%s", (_, hasLocks) => {
  beforeEach(() => {
    if (!hasLocks) locks = null
  })

  test("a tab that is alone leads", async () => {
    const tab = newTab()
    await pass(SOON_MS)
    expect(tab.events).toEqual(["led"])
  })

  test("of a dozen tabs one leads, and it stays the one: J05", async () => {
    const first = newTab()
    await pass(SOON_MS)
    for (let n = 1; n < 12; n++) newTab()
    await pass(10 * LATER_MS)
    expect(leaders()).toEqual([first])
    expect(tabs.flatMap(({ events }) => events)).toEqual(["led"])
  })

  test("when the leader ends, another leads: J02", async () => {
    const first = newTab()
    await pass(SOON_MS)
    const second = newTab()
    await pass(SOON_MS)
    first.leadership.end()
    await pass(SOON_MS)
    expect(leaders()).toEqual([second])
  })

  test("a page that is put aside gives the lead on, and stands in line when it is back", async () => {
    const first = newTab()
    await pass(SOON_MS)
    const second = newTab()
    await pass(SOON_MS)
    first.leadership.pause()
    await pass(SOON_MS)
    expect(leaders()).toEqual([second])
    first.leadership.resume()
    await pass(LATER_MS)
    expect(leaders()).toEqual([second])
    second.leadership.end()
    await pass(LATER_MS)
    expect(leaders()).toEqual([first])
  })

  test("a visible tab takes the lead from a leader that does not answer: J02", async () => {
    const first = newTab()
    await pass(SOON_MS)
    const second = newTab()
    await pass(SOON_MS)
    first.channel.freeze()
    await pass(LATER_MS)
    expect(second.leadership.isLeader).toBe(true)
  })

  test("a hidden tab takes nothing from anybody", async () => {
    const first = newTab()
    await pass(SOON_MS)
    const second = newTab()
    first.channel.freeze()
    visibility = "hidden"
    await pass(LATER_MS)
    expect(second.leadership.isLeader).toBe(false)
    visibility = "visible"
    second.leadership.ask()
    await pass(SOON_MS)
    expect(second.leadership.isLeader).toBe(true)
  })

  test("whose conversation is over yields, and leads again when nobody else does", async () => {
    const first = newTab()
    await pass(SOON_MS)
    first.leadership.yield()
    expect(first.events).toEqual(["led", "lost"])
    await pass(LATER_MS)
    expect(first.events).toEqual(["led", "lost", "led"])
  })

  test("a word is heard by the others, not by who says it", async () => {
    const [first, second, third] = [newTab(), newTab(), newTab()]
    first.leadership.say({ n: 1 })
    await pass(0)
    expect([first.heard, second.heard, third.heard]).toEqual([[], [{ n: 1 }], [{ n: 1 }]])
  })

  test("after its end a tab says and hears nothing, and leads nobody", async () => {
    const tab = newTab()
    tab.leadership.end()
    newTab().leadership.say("anybody?")
    await pass(LATER_MS)
    expect([tab.heard, tab.leadership.isLeader]).toEqual([[], false])
  })
})

test("a tab that once took the lead and yields it does not keep the others from it", async () => {
  const first = newTab()
  await pass(SOON_MS)
  const second = newTab()
  await pass(SOON_MS)
  second.leadership.take()
  await pass(0)
  expect([first.events.at(-1), second.events]).toEqual(["lost", ["led"]])
  second.leadership.yield()
  await pass(LATER_MS)
  const [leader] = leaders()
  expect(leaders()).toHaveLength(1)
  leader?.leadership.end()
  await pass(LATER_MS)
  expect(leaders()).toHaveLength(1)
})

test("however often a tab takes the lead, it stands in line once", async () => {
  newTab()
  const other = newTab()
  for (let n = 0; n < 5; n++) {
    other.leadership.take()
    await pass(LATER_MS)
    tabs[0]?.leadership.take()
    await pass(LATER_MS)
  }
  expect(locks?.waiting).toBe(1)
})

test("whatever tabs do, in the end exactly one leads, and it still can give the lead on", async () => {
  const deeds = ["take", "yield", "pause", "resume", "freeze", "thaw", "ask"] as const
  const step = fc.record({
    tab: fc.nat(2),
    deed: fc.constantFrom(...deeds),
    waitMs: fc.constantFrom(0, 500, 1_600, 6_000),
  })
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 12 }), async (hasLocks, steps) => {
        endAll()
        locks = hasLocks ? new FakeLocks() : null
        for (let n = 0; n < 3; n++) newTab()
        for (const { tab, deed, waitMs } of steps) {
          const { leadership, channel } = tabAt(tab)
          if (deed === "freeze" || deed === "thaw") channel[deed]()
          else leadership[deed]()
          await pass(waitMs)
        }
        for (const { leadership, channel } of tabs) {
          channel.thaw()
          leadership.resume()
        }
        await settle(hasLocks)
        for (let left = 3; left > 1; left--) {
          const leader = tabAt(tabs.findIndex(({ leadership }) => leadership.isLeader))
          leader.leadership.end()
          tabs = tabs.filter((tab) => tab !== leader)
          await settle(hasLocks)
        }
      }),
    { numRuns: 60 },
  )
})

/**
 * Without locks two that hear each other too late lead both: the lease in the database lets one
 * of them find out that its conversation is the older, and it yields.
 */
async function settle(hasLocks: boolean): Promise<void> {
  await pass(LATER_MS)
  if (!hasLocks) for (const { leadership } of leaders().slice(1)) leadership.yield()
  await pass(LATER_MS)
  expect(leaders()).toHaveLength(1)
}
