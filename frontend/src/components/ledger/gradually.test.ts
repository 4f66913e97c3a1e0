import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { effectScope, nextTick, ref } from "vue"

import { useGradually } from "./gradually"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

async function oneTask(): Promise<void> {
  vi.advanceTimersToNextTimer()
  await nextTick()
}

test("short lists are there at once, whole however long they grow", () => {
  const scope = effectScope()
  const limits = scope.run(() => useGradually(() => [3, 0, 20]))
  expect(limits?.value).toEqual([Infinity, Infinity, Infinity])
  expect(vi.getTimerCount()).toBe(0)
  scope.stop()
})

test("a long list comes piece by piece, from the first to the last, until all is there", async () => {
  const lengths = ref([10, 100, 1_000])
  const scope = effectScope()
  const limits = scope.run(() => useGradually(() => lengths.value))
  const all = () => limits?.value.every((limit) => limit === Infinity)
  expect(limits?.value[0]).toBe(Infinity)
  expect(limits?.value[1]).toBeGreaterThan(0)
  expect(limits?.value.slice(2)).toEqual([0])
  for (let tasks = 0; tasks < 1_110 && all() !== true; tasks++) await oneTask()
  expect(all()).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
  lengths.value = [10, 100, 3_000]
  await nextTick()
  expect(limits?.value.slice(0, 2)).toEqual([Infinity, Infinity])
  expect(limits?.value[2]).toBeGreaterThanOrEqual(1_000)
  expect(all()).toBe(false)
  scope.stop()
  expect(vi.getTimerCount()).toBe(0)
})
