// @vitest-environment jsdom
import { mount, type VueWrapper } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { nextTick } from "vue"

import { speak } from "../../i18n"
import { route } from "../../route"
import { useHouseholdStore } from "../../stores/householdStore"
import { useWebSocketStore } from "../../stores/webSocketStore"
import type { SyncState, SyncStatus } from "../../types"
import StorageWarning from "./StorageWarning.vue"

const DAY_MS = 24 * 3600 * 1000

let sync: ReturnType<typeof useWebSocketStore>
let households: ReturnType<typeof useHouseholdStore>
let warning: VueWrapper
let isInstalled: boolean

beforeEach(async () => {
  vi.useFakeTimers()
  isInstalled = false
  vi.stubGlobal("matchMedia", () => ({ matches: isInstalled }))
  localStorage.clear()
  await speak("en")
  await open()
})

afterEach(() => {
  warning.unmount()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

/** Four days on a journey, in a browser that promises nothing. */
async function open(): Promise<void> {
  const pinia = createPinia()
  sync = useWebSocketStore(pinia)
  households = useHouseholdStore(pinia)
  sync.household = "home"
  sync.persistence = "refused"
  sync.oldestMs = Date.now() - 4 * DAY_MS
  warning = mount(StorageWarning, { global: { plugins: [pinia] } })
  await stand({ kind: "offline_pending", count: 2 })
}

async function stand(state: SyncState): Promise<void> {
  sync.status = { ...state, isAmber: false, isSettled: true }
  await nextTick()
}

const isSeen = () => warning.find("[role=alert]").exists()
const press = (label: string) =>
  warning.findAll("button").find((button) => button.text() === label)?.trigger("click")

test("it says what can happen, what is safe, and what to do: A09", async () => {
  expect(warning.text()).toContain("Some changes have been only on this device for 4 days")
  expect(warning.text()).toContain("after seven days without a visit")
  expect(warning.text()).toContain("What the server has is safe")
  expect(warning.text()).toContain("install the app")
  await press("Details")
  expect(route.value.dialog).toEqual({ kind: "sync" })
})

test("it is gone when the changes are sent, and when the browser promises to keep them", async () => {
  sync.persistence = "granted"
  await nextTick()
  expect(isSeen()).toBe(false)
  sync.persistence = "refused"
  await nextTick()
  expect(isSeen()).toBe(true)
  await stand({ kind: "syncing", left: 2 })
  expect(isSeen()).toBe(true)
  sync.oldestMs = null
  await nextTick()
  expect(isSeen()).toBe(false)
})

test("put off, it comes back after a day, also where the page was never closed", async () => {
  await press("Later")
  expect(isSeen()).toBe(false)
  await vi.advanceTimersByTimeAsync(DAY_MS - 60_000)
  expect(isSeen()).toBe(false)
  await vi.advanceTimersByTimeAsync(2 * 60_000)
  expect(warning.text()).toContain("for 5 days")
})

test("put off, it stays so in the next tab", async () => {
  await press("Later")
  warning.unmount()
  await open()
  expect(isSeen()).toBe(false)
})

test("a page that opens with a network sends first, and warns of nothing", async () => {
  warning.unmount()
  localStorage.clear()
  const pinia = createPinia()
  sync = useWebSocketStore(pinia)
  warning = mount(StorageWarning, { global: { plugins: [pinia] } })
  sync.persistence = "refused"
  sync.oldestMs = Date.now() - 4 * DAY_MS
  await stand({ kind: "connecting", count: 2 })
  expect(isSeen()).toBe(false)
})

test("who is signed out is told to sign in, and who is held up to look why", async () => {
  await stand({ kind: "signed_out", count: 2 })
  expect(warning.text()).toContain("Sign in, and they are sent.")
  await stand({ kind: "needs_you", count: 1 })
  expect(warning.text()).toContain("The details say what holds them up.")
})

test("an app that is installed is not told to be installed", async () => {
  isInstalled = true
  warning.unmount()
  await open()
  expect(warning.text()).not.toContain("Safari")
  expect(warning.text()).not.toContain("install the app")
  expect(warning.text()).toContain("export your data")
})

test("what waits in a household that is not shown is told of, with the way there: A09", async () => {
  const waitingInClub = (kind: string, oldestMs: number | null = Date.now() - 6 * DAY_MS) => {
    const status = { kind, count: 1, isAmber: false, isSettled: true } as unknown as SyncStatus
    const common = { role: "owner", status: "ready", isHere: true } as const
    households.households = [
      { ...common, id: "home", name: "Home", pending: 0, unshown: null },
      { ...common, id: "club", name: "Club", pending: 1, unshown: { oldestMs, status } },
    ]
    return nextTick()
  }
  // The one that is shown comes first.
  await waitingInClub("blocked")
  expect(warning.text()).toContain("for 4 days")
  expect(warning.text()).not.toContain("Club")
  sync.oldestMs = null
  await stand({ kind: "up_to_date", checkedMs: Date.now() })
  expect(warning.text()).toContain("for 6 days")
  expect(warning.text()).toContain("They wait in “Club”.")
  expect(warning.text()).not.toContain("Export") // it would be that of the one that is shown
  // It is tried again in between, and does not blink.
  await waitingInClub("connecting")
  expect(isSeen()).toBe(true)
  await press("Open “Club”")
  expect(route.value.household).toBe("club")
  await waitingInClub("up_to_date", null)
  expect(isSeen()).toBe(false)
  await waitingInClub("connecting")
  expect(isSeen()).toBe(false)
})
