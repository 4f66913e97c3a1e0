// @vitest-environment jsdom
import { mount, type VueWrapper } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { nextTick, watch } from "vue"

import { speak } from "../../i18n"
import { announcement, dismissNotice, notices } from "../../notices"
import { route } from "../../route"
import { provideServices, type Services } from "../../services/ports"
import { useWebSocketStore } from "../../stores/webSocketStore"
import type { SyncOutcome, SyncStatus } from "../../types"
import SyncButton from "./SyncButton.vue"

const settled = { isAmber: false, isSettled: true } as const
const GREEN: SyncStatus = { kind: "up_to_date", checkedMs: 0, ...settled }

let answer: (outcome: SyncOutcome) => void
let button: VueWrapper
let sync: ReturnType<typeof useWebSocketStore>

beforeEach(async () => {
  vi.useFakeTimers()
  await speak("en")
  provideServices({
    sync: {
      syncNow: () =>
        new Promise<SyncOutcome>((resolve) => {
          answer = resolve
        }),
    },
  } as unknown as Services)
  const pinia = createPinia()
  sync = useWebSocketStore(pinia)
  sync.status = GREEN
  button = mount(SyncButton, { global: { plugins: [pinia] } })
})

afterEach(() => {
  button.unmount()
  provideServices(null)
  vi.useRealTimers()
})

const press = () => button.get("button").trigger("click")

test.each<readonly [SyncOutcome, string]>([
  [{ kind: "checked", sent: 0, received: 0 }, "Up to date – checked just now"],
  [{ kind: "checked", sent: 3, received: 5 }, "Sent 3, received 5"],
  [{ kind: "failed", reason: "offline" }, "No network – everything is saved here"],
])("a sync by hand answers %j with words, aloud too", async (outcome, words) => {
  await press()
  expect(button.text()).toBe("Syncing …")
  answer(outcome)
  await vi.advanceTimersByTimeAsync(100)
  expect(button.text()).toBe(words)
  expect(announcement.value).toBe(words)
  await vi.advanceTimersByTimeAsync(5_000)
  expect(button.text()).toBe("Up to date")
})

test("who presses twice syncs once", async () => {
  const spy = vi.spyOn(sync, "syncNow")
  await press()
  await press()
  expect(spy).toHaveBeenCalledOnce()
})

test("what needs somebody opens the panel instead of syncing", async () => {
  sync.status = { kind: "needs_you", count: 1, ...settled }
  await nextTick()
  await press()
  expect(route.value.dialog).toEqual({ kind: "sync" })
})

test("only what lasts is read out, and no countdown", async () => {
  const said: string[] = []
  const stop = watch(announcement, (words) => {
    if (words !== "") said.push(words)
  })
  for (const status of [
    { kind: "syncing", left: 3, ...settled },
    { kind: "unreachable", retryAtMs: performance.now() + 20_000, count: 0, ...settled },
  ] satisfies SyncStatus[]) {
    sync.status = status
    await vi.advanceTimersByTimeAsync(8_000)
  }
  stop()
  expect(said).toEqual([expect.stringMatching(/^Server unreachable/)])
})

test.each([-3_600_000, 3_600_000])("a clock that is set by %d ms moves no countdown", async (byMs) => {
  sync.status = { kind: "unreachable", retryAtMs: performance.now() + 20_000, count: 0, ...settled }
  await nextTick()
  vi.setSystemTime(Date.now() + byMs)
  await vi.advanceTimersByTimeAsync(5_000)
  expect(button.text()).toBe("Server unreachable – trying again in 15 s")
  await vi.advanceTimersByTimeAsync(15_000)
  expect(button.text()).toBe("Server unreachable – trying again …")
})

test("a server that this device has healed is told of, and a heal that was cut off is not", async () => {
  // Those of other files may be as many as are shown at once.
  for (const { id } of notices.value) dismissNotice(id)
  for (const phase of ["healing", "offline", "healing", "idle"] as const) {
    sync.phase = phase
    await nextTick()
  }
  expect(notices.value.map(({ text }) => text)).toEqual([
    "This device gave back what the server was missing",
  ])
})

test("the arrow beside it has a name", () => {
  expect(button.findAll("button")[1]?.attributes("aria-label")).toBe("Sync details")
})
