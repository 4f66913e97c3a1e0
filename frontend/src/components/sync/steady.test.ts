import { nextTick, shallowRef } from "vue"
import { afterEach, beforeEach, expect, test, vi } from "vitest"

import type { SyncStatus } from "../../types"
import { useSteady } from "./steady"

const HOME = shallowRef("home")
const GREEN: SyncStatus = { kind: "up_to_date", checkedMs: 0, isAmber: false, isSettled: true }
const blink = (left: number): SyncStatus => ({ kind: "syncing", left, isAmber: false, isSettled: false })
const long = (left: number): SyncStatus => ({ kind: "syncing", left, isAmber: false, isSettled: true })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test("a connection that comes and goes all the time does not stay green over what is unsent", async () => {
  const connecting: SyncStatus = { kind: "connecting", count: 1, isAmber: false, isSettled: false }
  const status = shallowRef<SyncStatus>(GREEN)
  const shown = useSteady(status, HOME)
  for (let ms = 0; ms < 2_000; ms += 400) {
    expect(shown.value.kind).toBe("up_to_date")
    status.value = ms % 800 === 0 ? connecting : blink(1)
    await nextTick()
    vi.advanceTimersByTime(400)
  }
  expect(shown.value).toEqual(connecting)
  status.value = GREEN
  await nextTick()
  vi.advanceTimersByTime(10_000)
  expect(shown.value).toEqual(GREEN)
})

test("a sync that is over at once is not shown", async () => {
  const status = shallowRef<SyncStatus>(GREEN)
  const shown = useSteady(status, HOME)
  status.value = blink(1)
  await nextTick()
  expect(shown.value.kind).toBe("up_to_date")
  status.value = { ...GREEN, checkedMs: 1 }
  await nextTick()
  expect(shown.value).toEqual({ ...GREEN, checkedMs: 1 })
})

test("a sync that lasts is shown, and counts down", async () => {
  const status = shallowRef<SyncStatus>(GREEN)
  const shown = useSteady(status, HOME)
  status.value = blink(9)
  await nextTick()
  status.value = long(9)
  await nextTick()
  expect(shown.value).toEqual(long(9))
  status.value = blink(4)
  await nextTick()
  expect(shown.value).toEqual(blink(4))
})

test("bad news is shown at once", async () => {
  const status = shallowRef<SyncStatus>(GREEN)
  const shown = useSteady(status, HOME)
  const full: SyncStatus = { kind: "cannot_save", reason: "full", isAmber: false, isSettled: true }
  status.value = full
  await nextTick()
  expect(shown.value).toEqual(full)
})

test("the green of one household is never shown for another", async () => {
  const status = shallowRef<SyncStatus>(GREEN)
  const household = shallowRef("home")
  const shown = useSteady(status, household)
  status.value = { kind: "connecting", count: 0, isAmber: false, isSettled: false }
  household.value = "club"
  await nextTick()
  expect(shown.value.kind).toBe("connecting")
})
