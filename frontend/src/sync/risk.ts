// Whether what waits on this device is in danger, and its person should be told. Pure: facts in,
// answer out; nothing reads a clock.
//
// A browser that has not promised to keep what a site stores may delete it when space runs out;
// WebKit does after seven days without a visit, unless the app is installed. What the server has
// is safe. So changes that only this device has must not get old unnoticed.

import type { StoragePersistence, SyncStatus } from "../types"

const DAY_MS = 24 * 3600 * 1000

/** Changes that wait for longer are in danger: it leaves some days of WebKit's seven to act. */
export const OLD_MS = 3 * DAY_MS
/** A warning that was put off comes back. */
export const PUT_OFF_MS = DAY_MS

/**
 * Times are of this machine's wall clock, milliseconds since 1970 UTC.
 *
 * oldestMs: when the oldest change was made that only this device has; null: there is none.
 * putOffMs: when the warning was last put off; null: never. wasShown: it stands there already.
 */
export interface RiskFacts {
  readonly nowMs: number
  readonly persistence: StoragePersistence
  readonly oldestMs: number | null
  readonly putOffMs: number | null
  readonly status: SyncStatus
  readonly wasShown: boolean
}

/** Whether the warning is to be seen. */
export function isAtRisk(facts: RiskFacts): boolean {
  const { nowMs, persistence, oldestMs, putOffMs } = facts
  if (persistence === "granted" || persistence === "asking") return false
  if (oldestMs === null || nowMs - oldestMs <= OLD_MS) return false
  if (putOffMs !== null && isWithin(PUT_OFF_MS, putOffMs, nowMs)) return false
  // What is on its way out needs no warning; one that stands does not blink at every attempt.
  return facts.wasShown || !isOnItsWay(facts.status)
}

/** For how many whole days the oldest change has been waiting. */
export function daysWaited(oldestMs: number, nowMs: number): number {
  return Math.max(Math.floor((nowMs - oldestMs) / DAY_MS), 0)
}

function isOnItsWay({ kind, isAmber }: SyncStatus): boolean {
  return !isAmber && (kind === "connecting" || kind === "loading" || kind === "syncing")
}

/** A time that is still to come was noted under a clock that was wrong: it says nothing. */
function isWithin(spanMs: number, sinceMs: number, nowMs: number): boolean {
  return sinceMs <= nowMs && nowMs - sinceMs < spanMs
}
