import { expect, test } from "vitest"

import type { SyncStatus } from "../types"
import { daysWaited, isAtRisk, OLD_MS, PUT_OFF_MS, type RiskFacts } from "./risk"

const DAY_MS = 24 * 3600 * 1000
const NOW_MS = Date.UTC(2026, 10, 23)

const status = (kind: string, isAmber = false) =>
  ({ kind, count: 1, isAmber, isSettled: true }) as unknown as SyncStatus

/** Four days without a network, in a browser that promises nothing. */
const FORGOTTEN: RiskFacts = {
  nowMs: NOW_MS,
  persistence: "refused",
  oldestMs: NOW_MS - 4 * DAY_MS,
  putOffMs: null,
  status: status("offline_pending"),
  wasShown: false,
}

test("changes that wait for more than three days in a browser that may delete them are told of: A09", () => {
  expect(isAtRisk(FORGOTTEN)).toBe(true)
  expect(isAtRisk({ ...FORGOTTEN, oldestMs: NOW_MS - OLD_MS - 1 })).toBe(true)
  expect(isAtRisk({ ...FORGOTTEN, oldestMs: NOW_MS - OLD_MS })).toBe(false)
  expect(isAtRisk({ ...FORGOTTEN, oldestMs: null })).toBe(false)
  expect(isAtRisk({ ...FORGOTTEN, oldestMs: NOW_MS + DAY_MS })).toBe(false)
})

test("only a browser that has promised to keep them is trusted, and none before it was asked", () => {
  expect(isAtRisk({ ...FORGOTTEN, persistence: "unknown" })).toBe(true)
  expect(isAtRisk({ ...FORGOTTEN, persistence: "granted" })).toBe(false)
  expect(isAtRisk({ ...FORGOTTEN, persistence: "asking" })).toBe(false)
})

test("a warning that was put off comes back after a day", () => {
  const putOff = (agoMs: number) => isAtRisk({ ...FORGOTTEN, putOffMs: NOW_MS - agoMs })
  expect([putOff(0), putOff(PUT_OFF_MS - 1), putOff(PUT_OFF_MS)]).toEqual([false, false, true])
})

test("a warning that was put off under a clock that was ahead is not silent until then", () => {
  expect(isAtRisk({ ...FORGOTTEN, putOffMs: NOW_MS + 400 * DAY_MS })).toBe(true)
})

test("what is on its way to the server needs no warning, unless it gets nowhere", () => {
  for (const kind of ["connecting", "loading", "syncing"]) {
    expect(isAtRisk({ ...FORGOTTEN, status: status(kind) })).toBe(false)
    expect(isAtRisk({ ...FORGOTTEN, status: status(kind, true) })).toBe(true)
  }
})

test("a warning that stands does not blink at every attempt to connect", () => {
  const connecting = { ...FORGOTTEN, status: status("connecting"), wasShown: true }
  expect(isAtRisk(connecting)).toBe(true)
  expect(isAtRisk({ ...connecting, oldestMs: null })).toBe(false)
})

test("it says whole days", () => {
  expect(daysWaited(NOW_MS - 4 * DAY_MS + 1, NOW_MS)).toBe(3)
  expect(daysWaited(NOW_MS - 4 * DAY_MS, NOW_MS)).toBe(4)
  expect(daysWaited(NOW_MS + DAY_MS, NOW_MS)).toBe(0)
})
