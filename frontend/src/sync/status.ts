// The one line that says how things stand. Pure: facts in, status out; nothing reads a clock.
//
// It is green only with evidence: an empty outbox, nothing parked, everything read up to the head
// that the server has told, and that within the last beat.

import type { BlockedReason, StorageTrouble, SyncState, SyncStatus } from "../types"
import { EVIDENCE_MAX_AGE_MS, type Phase, isUpToDate } from "./core/session"

/** A connection that takes longer is shown. */
export const CONNECTING_SHOWN_MS = 2_000
/** A sync that takes longer is shown. */
export const SYNCING_SHOWN_MS = 500
/** Pending for longer without progress: the light turns amber, whatever the socket says. */
export const AMBER_MS = 30_000

/**
 * All that is known. Times are of one clock, milliseconds.
 *
 * pending: changes that the server has not decided; parked: such that it does not know yet.
 * refused, overruled: what its person has to decide. isOnline: what the machine says of its
 * network. isFailing: the latest attempt to reach the server has failed. isLoaded: a complete
 * snapshot was read once. isHealing: a restored server still lacks rows of this device. isConfirmed:
 * no answer has moved the head since it was told. heardMs: when it was told, in the latest
 * connection; null: not yet. awayMs: since when there is no conversation; null: there is one.
 * busyMs: since when something is to be sent or read; null: nothing is. progressMs: when something
 * last got on. retryAtMs: the page's clock (`performance.now()`). asOfMs, checkedMs: wall clock.
 */
export interface StatusFacts {
  readonly nowMs: number
  readonly storage: StorageTrouble | null
  readonly outdatedBy: "server" | "tab" | null
  readonly isSignedOut: boolean
  readonly blocked: BlockedReason | null
  readonly pending: number
  readonly parked: number
  readonly refused: number
  readonly overruled: number
  readonly isOnline: boolean
  readonly isFailing: boolean
  readonly phase: Phase
  readonly retryAtMs: number
  readonly isLoaded: boolean
  readonly loadedPercent: number | null
  readonly isHealing: boolean
  readonly isWalking: boolean
  readonly isConfirmed: boolean
  readonly readSeq: number
  readonly head: number
  readonly heardMs: number | null
  readonly awayMs: number | null
  readonly busyMs: number | null
  readonly progressMs: number
  readonly asOfMs: number | null
  readonly checkedMs: number
}

/** How things stand: the first that applies. */
export function statusOf(facts: StatusFacts): SyncStatus {
  return {
    ...stateOf(facts),
    isAmber: isStuck(facts),
    isSettled: isSettled(facts),
  }
}

function stateOf(facts: StatusFacts): SyncState {
  const { pending, parked, blocked } = facts
  const count = pending + parked
  if (facts.storage !== null) return { kind: "cannot_save", reason: facts.storage }
  if (facts.outdatedBy !== null) return { kind: "update_needed", by: facts.outdatedBy }
  if (facts.isSignedOut) return { kind: "signed_out", count }
  if (blocked !== null && (blocked !== "viewer" || pending > 0)) {
    return { kind: "blocked", reason: blocked, count }
  }
  const needsYou = facts.refused + facts.overruled
  if (needsYou > 0) return { kind: "needs_you", count: needsYou }
  if (isGreen(facts)) return { kind: "up_to_date", checkedMs: facts.checkedMs }
  if (!isTalking(facts)) return away(facts, count)
  if (!facts.isLoaded) return { kind: "loading", percent: facts.loadedPercent }
  if (pending === 0 && parked > 0 && !facts.isWalking && facts.readSeq === facts.head) {
    return { kind: "waiting", count: parked }
  }
  // Nothing to do, but nothing heard within the beat either: the socket may be dead unnoticed.
  if (facts.busyMs === null && isSilent(facts)) return { kind: "connecting", count }
  return { kind: "syncing", left: pending }
}

/** There is no conversation with the server. */
function away(facts: StatusFacts, count: number): SyncState {
  if (facts.isOnline) {
    if (facts.isFailing) return { kind: "unreachable", retryAtMs: facts.retryAtMs, count }
    if (facts.phase !== "stopped") return { kind: "connecting", count }
  }
  if (count > 0) return { kind: "offline_pending", count }
  return { kind: "offline", asOfMs: facts.asOfMs }
}

/** Only this may be shown as "up to date". */
export function isGreen(facts: StatusFacts): boolean {
  const { awayMs, nowMs } = facts
  // A connection that is lost for a moment does not take away what was told within the beat.
  const isNear = isTalking(facts) || (awayMs !== null && nowMs - awayMs < CONNECTING_SHOWN_MS)
  return (
    isNear &&
    facts.isOnline &&
    facts.isLoaded &&
    facts.isConfirmed &&
    facts.storage === null &&
    facts.outdatedBy === null &&
    !facts.isSignedOut &&
    (facts.blocked === null || facts.blocked === "viewer") &&
    facts.refused + facts.overruled === 0 &&
    isUpToDate(facts)
  )
}

function isSilent({ heardMs, nowMs }: StatusFacts): boolean {
  return heardMs === null || nowMs - heardMs > EVIDENCE_MAX_AGE_MS
}

function isTalking({ phase }: StatusFacts): boolean {
  return phase === "pulling" || phase === "healing" || phase === "pushing" || phase === "idle"
}

function isStuck({ pending, parked, progressMs, nowMs }: StatusFacts): boolean {
  return pending + parked > 0 && nowMs - progressMs > AMBER_MS
}

/** What passes within a moment need not be said aloud, nor shown with a spinner. */
function isSettled(facts: StatusFacts): boolean {
  const { nowMs, awayMs, busyMs } = facts
  const { kind } = stateOf(facts)
  if (kind === "connecting") {
    return isTalking(facts) || (awayMs !== null && nowMs - awayMs >= CONNECTING_SHOWN_MS)
  }
  if (kind !== "syncing" && kind !== "loading") return true
  return busyMs !== null && nowMs - busyMs >= SYNCING_SHOWN_MS
}

/** When the status will be another one though nothing happens; null: never. */
export function changesAtMs(facts: StatusFacts): number | null {
  const { nowMs, awayMs, busyMs, heardMs, progressMs } = facts
  const times = [
    awayMs === null ? null : awayMs + CONNECTING_SHOWN_MS,
    busyMs === null ? null : busyMs + SYNCING_SHOWN_MS,
    heardMs === null ? null : heardMs + EVIDENCE_MAX_AGE_MS + 1,
    facts.pending + facts.parked > 0 ? progressMs + AMBER_MS + 1 : null,
  ].filter((time) => time !== null && time > nowMs)
  return times.length === 0 ? null : Math.min(...(times as number[]))
}
