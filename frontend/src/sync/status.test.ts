import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { EVIDENCE_MAX_AGE_MS } from "./core/session"
import {
  AMBER_MS,
  CONNECTING_SHOWN_MS,
  SYNCING_SHOWN_MS,
  type StatusFacts,
  changesAtMs,
  isGreen,
  statusOf,
} from "./status"

const GREEN: StatusFacts = {
  nowMs: 100_000,
  storage: null,
  outdatedBy: null,
  isSignedOut: false,
  blocked: null,
  pending: 0,
  parked: 0,
  refused: 0,
  overruled: 0,
  isOnline: true,
  isFailing: false,
  phase: "idle",
  retryAtMs: 0,
  isLoaded: true,
  loadedPercent: null,
  isHealing: false,
  isWalking: false,
  isConfirmed: true,
  readSeq: 7,
  head: 7,
  heardMs: 99_000,
  awayMs: null,
  busyMs: null,
  progressMs: 90_000,
  asOfMs: 1_000,
  checkedMs: 99_000,
}
const kindOf = (changes: Partial<StatusFacts>) => statusOf({ ...GREEN, ...changes }).kind

describe("the first that applies", () => {
  const away = { phase: "offline", awayMs: 90_000 } as const
  test.each<[string, Partial<StatusFacts>]>([
    ["up_to_date", {}],
    ["cannot_save", { storage: "full", outdatedBy: "server", isSignedOut: true, pending: 1 }],
    ["update_needed", { outdatedBy: "server", isSignedOut: true, refused: 1 }],
    ["signed_out", { isSignedOut: true, blocked: "not_yours", refused: 1 }],
    ["blocked", { blocked: "not_yours", refused: 1, ...away }],
    ["blocked", { blocked: "viewer", pending: 1 }],
    ["up_to_date", { blocked: "viewer" }],
    ["needs_you", { refused: 1, ...away, isOnline: false, pending: 2 }],
    ["needs_you", { overruled: 1 }],
    ["unreachable", { ...away, isFailing: true, pending: 1 }],
    ["connecting", { ...away, pending: 1 }],
    ["offline_pending", { ...away, isOnline: false, isFailing: true, pending: 1 }],
    ["offline", { ...away, isOnline: false }],
    ["loading", { isLoaded: false, isWalking: true }],
    ["syncing", { pending: 3, phase: "pushing" }],
    ["syncing", { readSeq: 6 }],
    ["syncing", { isConfirmed: false }],
    ["waiting", { parked: 1 }],
    ["connecting", { heardMs: GREEN.nowMs - EVIDENCE_MAX_AGE_MS - 1 }],
    ["syncing", { heardMs: null, pending: 1, busyMs: 99_000 }],
  ])("is %s", (kind, changes) => {
    expect(kindOf(changes)).toBe(kind)
  })

  test("a machine without a network is offline, never unreachable", () => {
    expect(kindOf({ ...away, isOnline: false, isFailing: true })).toBe("offline")
  })
})

describe("nothing flickers", () => {
  test("a connection lost for a moment takes nothing away", () => {
    const lost = { phase: "offline", awayMs: GREEN.nowMs - CONNECTING_SHOWN_MS + 1 } as const
    expect(kindOf(lost)).toBe("up_to_date")
    const longer = { ...GREEN, ...lost, awayMs: GREEN.nowMs - CONNECTING_SHOWN_MS }
    expect(statusOf(longer)).toMatchObject({ kind: "connecting", isSettled: true })
  })

  test("a server that falls silent takes the green away at once: nothing comes that it could wait for", () => {
    const silent = { ...GREEN, nowMs: 99_000 + EVIDENCE_MAX_AGE_MS + 1 }
    expect(statusOf(silent)).toMatchObject({ kind: "connecting", isSettled: true })
  })

  test("an edit is not green any more at once, and shown as syncing after half a second", () => {
    const edited = { ...GREEN, pending: 1, busyMs: GREEN.nowMs }
    expect(statusOf(edited)).toMatchObject({ kind: "syncing", left: 1, isSettled: false })
    const later = { ...edited, nowMs: GREEN.nowMs + SYNCING_SHOWN_MS }
    expect(statusOf(later)).toMatchObject({ kind: "syncing", isSettled: true })
  })
})

test("what is pending for half a minute without progress is amber, whatever the socket says", () => {
  const pending = { ...GREEN, pending: 1 }
  expect(statusOf({ ...pending, nowMs: GREEN.progressMs + AMBER_MS }).isAmber).toBe(false)
  expect(statusOf({ ...pending, nowMs: GREEN.progressMs + AMBER_MS + 1 }).isAmber).toBe(true)
  expect(statusOf({ ...GREEN, nowMs: GREEN.progressMs + AMBER_MS + 1 }).isAmber).toBe(false)
})

const few = fc.nat({ max: 2 })
const moments = fc.integer({ min: 0, max: 200_000 })
const facts: fc.Arbitrary<StatusFacts> = fc.record({
  nowMs: moments,
  storage: fc.constantFrom(null, null, "full" as const),
  outdatedBy: fc.constantFrom(null, null, "server" as const),
  isSignedOut: fc.constantFrom(false, false, true),
  blocked: fc.constantFrom(null, null, "viewer" as const, "not_yours" as const),
  pending: few,
  parked: few,
  refused: few,
  overruled: few,
  isOnline: fc.boolean(),
  isFailing: fc.boolean(),
  phase: fc.constantFrom(
    "offline",
    "connecting",
    "greeting",
    "pulling",
    "healing",
    "pushing",
    "idle",
    "stopped",
  ),
  retryAtMs: moments,
  isLoaded: fc.boolean(),
  loadedPercent: fc.constant(null),
  isHealing: fc.boolean(),
  isWalking: fc.boolean(),
  isConfirmed: fc.boolean(),
  readSeq: few,
  head: few,
  heardMs: fc.option(moments),
  awayMs: fc.option(moments),
  busyMs: fc.option(moments),
  progressMs: moments,
  asOfMs: fc.option(moments),
  checkedMs: moments,
})
// Most facts are far from green: these are near it.
const nearGreen = facts.chain((any) =>
  fc.subarray(Object.keys(GREEN) as (keyof StatusFacts)[], { maxLength: 3 }).map((names) => ({
    ...GREEN,
    ...Object.fromEntries(names.map((name) => [name, any[name]])),
  })),
)

describe("properties", () => {
  test("never green without evidence", () => {
    fc.assert(
      fc.property(fc.oneof(facts, nearGreen), (any) => {
        if (statusOf(any).kind !== "up_to_date") return
        expect(any).toMatchObject({
          pending: 0,
          parked: 0,
          refused: 0,
          overruled: 0,
          storage: null,
          outdatedBy: null,
          isSignedOut: false,
          isOnline: true,
          isLoaded: true,
          isHealing: false,
          isWalking: false,
          isConfirmed: true,
          readSeq: any.head,
        })
        expect(any.heardMs).not.toBeNull()
        expect(any.nowMs - (any.heardMs ?? 0)).toBeLessThanOrEqual(EVIDENCE_MAX_AGE_MS)
        expect(any.nowMs - (any.heardMs ?? 0)).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 5_000 },
    )
  })

  test("green is what is shown as green, and nothing else", () => {
    fc.assert(
      fc.property(fc.oneof(facts, nearGreen), (any) => {
        expect(isGreen(any)).toBe(statusOf(any).kind === "up_to_date")
      }),
      { numRuns: 5_000 },
    )
  })

  test("between two moments nothing changes but at the moment that was told", () => {
    fc.assert(
      fc.property(fc.oneof(facts, nearGreen), fc.nat({ max: 60_000 }), (any, laterMs) => {
        const atMs = changesAtMs(any) ?? Infinity
        const later = { ...any, nowMs: Math.min(any.nowMs + laterMs, atMs - 1) }
        // What will be heard in the future is no fact.
        fc.pre((any.heardMs ?? 0) <= any.nowMs && later.nowMs >= any.nowMs)
        expect(statusOf(later)).toEqual(statusOf(any))
      }),
      { numRuns: 5_000 },
    )
  })

  test("something is always said", () => {
    fc.assert(fc.property(facts, (any) => statusOf(any).kind.length > 0))
  })
})
