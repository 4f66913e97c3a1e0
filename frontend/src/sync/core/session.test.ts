import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import {
  type Action,
  BACKOFF_CAP_MS,
  BEAT_MS,
  EVIDENCE_MAX_AGE_MS,
  type Evidence,
  type Facts,
  NEW_SESSION,
  type Phase,
  SLEPT_MS,
  SOON_MS,
  type Session,
  type SessionEvent,
  backoffMs,
  isUpToDate,
  step,
  wakeAt,
} from "./session"
import { cases, title } from "./testing/vectors"

const NOW = 1_000_000
const PHASES: readonly Phase[] = [
  "offline",
  "connecting",
  "greeting",
  "pulling",
  "healing",
  "pushing",
  "idle",
  "stopped",
]
const CONVERSING: readonly Phase[] = ["pulling", "healing", "pushing", "idle"]
const FACTS: Facts = {
  readSeq: 0,
  isWalking: false,
  hasRows: false,
  hasChanges: false,
  mayWrite: true,
}

describe("vectors", () => {
  interface Walk {
    readonly why: string
    readonly moments: readonly {
      readonly event: SessionEvent
      readonly facts: Facts
      readonly nowMs: number
      readonly chance: number
      readonly changed: Partial<Session>
      readonly actions: readonly Action[]
      readonly wakeAt: number | null
    }[]
  }
  const walks = cases<Walk>("session", "walks")

  for (const each of walks) {
    test(title(each), () => {
      let session = NEW_SESSION
      for (const { event, facts, nowMs, chance, changed, actions, wakeAt: wake } of each.moments) {
        const after = { ...session, ...changed }
        const stepped = step(session, event, facts, nowMs, chance)
        expect({ event, ...stepped, wakeAt: wakeAt(stepped.session) }).toEqual({
          event,
          session: after,
          actions,
          wakeAt: wake,
        })
        session = stepped.session
      }
    })
  }

  test("the walks meet every event in every phase", () => {
    const met = new Set<string>()
    for (const { moments } of walks) {
      let phase: Phase = NEW_SESSION.phase
      for (const { event, changed } of moments) {
        met.add(`${phase} ${event.type}`)
        phase = changed.phase ?? phase
      }
    }
    expect(met.size).toBe(PHASES.length * 14)
  })

  interface Backoff {
    readonly attempt: number
    readonly chance: number
    readonly baseMs: number
    readonly ms: number
  }
  test.each(cases<Backoff>("session", "backoff"))(
    "attempt $attempt backs off $ms ms by chance $chance",
    ({ attempt, chance, baseMs, ms }) => {
      expect(backoffMs(attempt, chance, baseMs)).toBe(ms)
    },
  )

  interface EvidenceCase {
    readonly why: string
    readonly evidence: Evidence
    readonly isUpToDate: boolean
  }
  for (const each of cases<EvidenceCase>("session", "evidence")) {
    test(`evidence: ${title(each)}`, () => {
      expect(isUpToDate(each.evidence)).toBe(each.isUpToDate)
    })
  }
})

// --- as a person would tell it -------------------------------------------------------------------

const ASK = { type: "sendPull", ask: true } as const
const CREDIT = { type: "sendPull", ask: false } as const

interface Device {
  /** Let something happen; returns what the device does. */
  on(event: Untold, facts?: Partial<Facts>): readonly Action[]
  session: Session
  nowMs: number
}

/** An event without what is of no matter here. */
type Untold = SessionEvent extends infer Event
  ? Event extends SessionEvent
    ? Partial<Event> & Pick<Event, "type">
    : never
  : never

function device(chance = 0.5): Device {
  let facts = FACTS
  const self: Device = {
    session: NEW_SESSION,
    nowMs: NOW,
    on(event, changed = {}) {
      facts = { ...facts, ...changed }
      const stepped = step(self.session, told(event, self.session), facts, self.nowMs, chance)
      self.session = stepped.session
      return stepped.actions
    },
  }
  return self
}

function told(event: Untold, { generation }: Session): SessionEvent {
  const calm = {
    generation,
    code: 1006,
    head: 0,
    saysHelloAgain: false,
    more: false,
    isGap: false,
    isEmpty: false,
    of: "push",
    isPong: false,
    id: "a",
    retryable: false,
    retryAfterMs: 0,
    isMoved: false,
  }
  const needsNone = ["edited", "asked", "unblocked", "left", "timer"].includes(event.type)
  return (needsNone ? event : { ...calm, ...event }) as SessionEvent
}

function idle(chance = 0.5): Device {
  const phone = device(chance)
  phone.on({ type: "asked" })
  phone.on({ type: "opened" })
  phone.on({ type: "welcomed" })
  phone.on({ type: "stored", isEmpty: true })
  expect(phone.session.phase).toBe("idle")
  return phone
}

describe("a device", () => {
  test("pulls up to the head, then heals, then pushes, then is idle", () => {
    const phone = device()
    expect(phone.on({ type: "timer" })).toEqual([{ type: "connect", generation: 1 }])
    expect(phone.on({ type: "opened" })).toEqual([{ type: "sendHello" }])
    const much = { hasRows: true, hasChanges: true, isWalking: true }
    expect(phone.on({ type: "welcomed", head: 9 }, much)).toEqual([ASK])
    expect(phone.on({ type: "stored", head: 9, more: true }, { readSeq: 4 })).toEqual([CREDIT])
    expect(phone.on({ type: "stored", head: 9 }, { readSeq: 9, isWalking: false })).toEqual([
      CREDIT,
      { type: "sendRows" },
    ])
    expect(phone.on({ type: "acked", of: "rows" }, { hasRows: false })).toEqual([
      { type: "sendPush" },
    ])
    expect(phone.session.phase).toBe("pushing")
    expect(phone.on({ type: "acked" }, { hasChanges: false })).toEqual([])
    expect(phone.session.phase).toBe("idle")
  })

  test("has one unanswered push at a time", () => {
    const phone = idle()
    expect(phone.on({ type: "edited" }, { hasChanges: true })).toEqual([{ type: "sendPush" }])
    expect(phone.on({ type: "edited" })).toEqual([])
    expect(phone.on({ type: "acked" })).toEqual([{ type: "sendPush" }])
  })

  test("beats, and leaves when two answers are missing", () => {
    const phone = idle()
    for (let n = 0; n < 2; n++) {
      phone.nowMs = wakeAt(phone.session) ?? NaN
      expect(phone.on({ type: "timer" })).toEqual([{ type: "sendPing" }])
    }
    phone.nowMs = wakeAt(phone.session) ?? NaN
    expect(phone.on({ type: "timer" })).toEqual([{ type: "disconnect", generation: 1, code: 1000 }])
    expect([phone.session.phase, phone.session.reason]).toEqual(["offline", "no_answer"])
  })

  test("leaves its socket at once after a sleep", () => {
    const phone = idle()
    phone.nowMs += BEAT_MS + SLEPT_MS + 1
    expect(phone.on({ type: "timer" })).toEqual([{ type: "disconnect", generation: 1, code: 1000 }])
    expect(phone.on({ type: "timer" })).toEqual([{ type: "connect", generation: 2 }])
  })

  test.each([
    [1012, "offline", "restarting"],
    [1006, "offline", "unreachable"],
    [4429, "offline", "unreachable"],
    [4401, "stopped", "sign_in"],
    [4403, "stopped", "not_allowed"],
    [4426, "stopped", "upgrade_needed"],
  ])("after close code %i is %s: %s", (code, phase, reason) => {
    const phone = idle()
    expect(phone.on({ type: "closed", code })).toEqual([])
    expect([phone.session.phase, phone.session.reason]).toEqual([phase, reason])
    expect(wakeAt(phone.session) === null).toBe(phase === "stopped")
  })

  test.each([0, 0.5, 0.999])("comes back soon, spread by chance %f, after a restart", (chance) => {
    const phone = idle(chance)
    phone.on({ type: "closed", code: 1012 })
    expect(phone.session.retryAtMs - NOW).toBe(Math.floor(chance * SOON_MS))
  })

  test("ignores late words of an old socket", () => {
    const phone = idle()
    phone.on({ type: "closed", code: 1012 })
    phone.on({ type: "asked" })
    const before = phone.session
    for (const type of ["opened", "stored", "acked", "welcomed", "failed", "headHeard"] as const) {
      expect(phone.on({ type, generation: 1 })).toEqual([])
    }
    expect(phone.on({ type: "closed", generation: 1, code: 4401 })).toEqual([])
    expect(phone.session).toBe(before)
  })

  test("that has left stays away", () => {
    const phone = idle()
    expect(phone.on({ type: "left" })).toEqual([{ type: "disconnect", generation: 1, code: 1000 }])
    for (const type of ["timer", "asked", "edited", "unblocked", "closed"] as const) {
      expect(phone.on({ type })).toEqual([])
    }
    expect(wakeAt(phone.session)).toBeNull()
  })
})

// --- totality ------------------------------------------------------------------------------------

const near = fc.nat(3)
const truth = fc.boolean()
const seq = fc.nat(3)
const type = <Type extends string>(type: Type) => fc.constant(type)
const events: fc.Arbitrary<SessionEvent> = fc.oneof(
  fc.record({ type: type("opened"), generation: near }),
  fc.record({
    type: type("closed"),
    generation: near,
    code: fc.oneof(
      fc.constantFrom(1000, 1006, 1009, 1012, 1013, 4400, 4401, 4403, 4426, 4429),
      fc.nat(),
    ),
  }),
  fc.record({ type: type("welcomed"), generation: near, head: seq, saysHelloAgain: truth }),
  fc.record({
    type: type("stored"),
    generation: near,
    head: seq,
    more: truth,
    isGap: truth,
    isEmpty: truth,
  }),
  fc.record({
    type: type("acked"),
    generation: near,
    of: fc.constantFrom("push" as const, "rows" as const),
    saysHelloAgain: truth,
  }),
  fc.record({ type: type("headHeard"), generation: near, head: seq, isPong: truth }),
  fc.record({ type: type("syncRequested"), generation: near, id: fc.string() }),
  fc.record({
    type: type("failed"),
    generation: near,
    of: fc.oneof(fc.constantFrom("", "hello", "push", "rows", "pull", "ping"), fc.string()),
    code: fc.oneof(fc.constantFrom("busy", "not_yours", "bad_frame", "full_moon"), fc.string()),
    retryable: truth,
    retryAfterMs: fc.nat(5000),
    isMoved: truth,
  }),
  fc.record({ type: type("heard"), generation: near }),
  fc.constantFrom<SessionEvent>(
    { type: "edited" },
    { type: "asked" },
    { type: "unblocked" },
    { type: "timer" },
    { type: "timer" },
  ),
  fc.record({ type: type("left") }),
)
const someFacts: fc.Arbitrary<Facts> = fc.record({
  readSeq: seq,
  isWalking: truth,
  hasRows: truth,
  hasChanges: truth,
  mayWrite: truth,
})
const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const moments = fc.array(
  fc.record({
    event: events,
    facts: someFacts,
    later: fc.constantFrom(0, 1, 50, 3000, 20_000, 100_000),
    chance: chances,
  }),
  { maxLength: 40 },
)
/** Any session at all, also those that no conversation leads to. */
const sessions: fc.Arbitrary<Session> = fc.record({
  phase: fc.constantFrom(...PHASES),
  generation: near,
  reason: fc.constantFrom("", "left", "busy", "sign_in", "not_yours", "forbidden"),
  attempt: fc.nat(2000),
  failures: fc.nat(2000),
  retryAtMs: fc.nat(200_000),
  holdUntilMs: fc.oneof(fc.constant(0), fc.nat(200_000)),
  awaits: fc.constantFrom("" as const, "push" as const, "rows" as const),
  isAsking: truth,
  deadlineMs: fc.option(fc.nat(200_000)),
  mayPush: truth,
  isMoved: truth,
  isLastErrorRetryable: truth,
  head: seq,
  heardMs: fc.option(fc.nat(200_000)),
  beatAtMs: fc.nat(200_000),
  beatsMissed: fc.nat(4),
  requests: fc.array(fc.string(), { maxLength: 10 }),
})

describe("the machine is total", () => {
  test("every state takes every event, in order, and never throws", () => {
    fc.assert(
      fc.property(sessions, events, someFacts, fc.nat(400_000), chances, (session, ...moment) => {
        const before = structuredClone(session)
        const { session: after, actions } = step(session, ...moment)
        expect(session).toEqual(before)
        expect(Object.keys(after).sort()).toEqual(Object.keys(NEW_SESSION).sort())
        expect(PHASES).toContain(after.phase)
        expect(after.generation - session.generation).toBeOneOf([0, 1])
        for (const each of actions) {
          if ("generation" in each)
            expect([session.generation, after.generation]).toContain(each.generation)
        }
        const wake = wakeAt(after)
        expect(wake === null || Number.isFinite(wake)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test("a conversation has one open answer of a kind, and says nothing on a closed socket", () => {
    fc.assert(
      fc.property(moments, (moments) => {
        let session = NEW_SESSION
        let nowMs = NOW
        let greeted = 0
        for (const { event, facts, later, chance } of moments) {
          nowMs += later
          const before = session
          const stepped = step(session, event, facts, nowMs, chance)
          session = stepped.session
          const said = stepped.actions.map(({ type }) => type)
          const sends = said.filter((type) => type.startsWith("send"))
          if (sends.length > 0) expect(["greeting", ...CONVERSING]).toContain(session.phase)
          const pushes = sends.filter((type) => type === "sendPush" || type === "sendRows")
          expect(pushes.length).toBeLessThanOrEqual(1)
          if (pushes.length > 0) {
            expect([session.awaits !== "", facts.mayWrite]).toEqual([true, true])
            if (before.awaits !== "") expect(["acked", "failed"]).toContain(event.type)
          }
          if (said.includes("sendHello")) {
            expect(session.generation).toBeGreaterThan(greeted)
            greeted = session.generation
          }
          if (session.phase !== "stopped") expect(wakeAt(session)).not.toBeNull()
          if (session.phase === "offline" || session.phase === "stopped") {
            expect([session.awaits, session.isAsking, session.heardMs]).toEqual(["", false, null])
          }
        }
      }),
    )
  })

  test("a device never falls silent for ever: while it is not stopped, its timer brings it on", () => {
    fc.assert(
      fc.property(moments, (moments) => {
        let session = NEW_SESSION
        let nowMs = NOW
        for (const { event, facts, later, chance } of moments) {
          nowMs += later
          session = step(session, event, facts, nowMs, chance).session
        }
        const { generation } = session
        for (let n = 0; n < 20; n++) {
          if (session.phase === "stopped" || session.generation > generation) return
          nowMs = Math.max(nowMs, wakeAt(session) ?? expect.fail("It waits for nothing"))
          session = step(session, { type: "timer" }, FACTS, nowMs, 0.5).session
        }
        expect.fail(`It is still in ${JSON.stringify(session)}`)
      }),
    )
  })

  test("patience lies between nothing and the cap", () => {
    fc.assert(
      fc.property(fc.integer(), chances, (attempt, chance) => {
        const ms = backoffMs(attempt, chance)
        expect(ms).toBeGreaterThanOrEqual(0)
        expect(ms).toBeLessThan(BACKOFF_CAP_MS)
      }),
    )
  })
})

describe("up to date", () => {
  const evidence: fc.Arbitrary<Evidence> = fc.record({
    pending: fc.nat(2),
    parked: fc.nat(2),
    isHealing: truth,
    isWalking: truth,
    readSeq: fc.nat(2),
    head: fc.nat(2),
    heardMs: fc.option(fc.integer({ min: NOW - 2 * EVIDENCE_MAX_AGE_MS, max: NOW + 2 })),
    nowMs: fc.oneof(fc.constant(NOW), fc.constantFrom(NaN, Infinity, 0)),
  })

  test("is never said with a change pending or parked, or a head that is not confirmed now", () => {
    let said = 0
    fc.assert(
      fc.property(evidence, (each) => {
        if (!isUpToDate(each)) return
        said++
        expect(each).toMatchObject({ pending: 0, parked: 0, isHealing: false, isWalking: false })
        expect(each.readSeq).toBe(each.head)
        if (each.heardMs === null) expect.fail("The server was never heard")
        expect(each.nowMs - each.heardMs).toBeGreaterThanOrEqual(0)
        expect(each.nowMs - each.heardMs).toBeLessThanOrEqual(EVIDENCE_MAX_AGE_MS)
      }),
      { numRuns: 5000 },
    )
    expect(said).toBeGreaterThan(0)
  })

  test("is never said before the server has answered in this connection", () => {
    fc.assert(
      fc.property(moments, (moments) => {
        let session = NEW_SESSION
        let nowMs = NOW
        for (const { event, facts, later, chance } of moments) {
          nowMs += later
          session = step(session, event, facts, nowMs, chance).session
          const { head, heardMs } = session
          const told = { pending: 0, parked: 0, isHealing: false, readSeq: facts.readSeq }
          if (isUpToDate({ ...told, isWalking: facts.isWalking, head, heardMs, nowMs })) {
            expect(CONVERSING).toContain(session.phase)
          }
        }
      }),
    )
  })
})
