// A device's conversation with its server, as a total state machine.
//
//     offline -> connecting -> greeting -> pulling -> healing -> pushing -> idle
//        ^________________________________________________________________|
//     stopped: until its person does something (signs in, updates, is invited again)
//
// `step` takes any event in any phase. It decides what is sent and when; what the frames hold, and
// what they do to the store, is the business of the services, which tell their `Facts` with every
// event. Time (monotonic milliseconds) and chance are passed in; nothing here reads a clock.
//
// Each connection has a generation: whatever an old socket still says is ignored.

import { HEARTBEAT_S } from "./messages"

export type Phase =
  "offline" | "connecting" | "greeting" | "pulling" | "healing" | "pushing" | "idle" | "stopped"
const CONVERSING: ReadonlySet<Phase> = new Set(["pulling", "healing", "pushing", "idle"])

export const BEAT_MS = HEARTBEAT_S * 1000
export const BEATS_MISSED_MAX = 2
// A timer this late means that the machine slept: its socket is dead, whatever it says. Browsers
// let a hidden tab's timers run once a minute, so not less.
export const SLEPT_MS = 90_000
export const CONNECT_TIMEOUT_MS = 20_000
export const ANSWER_TIMEOUT_MS = 60_000
export const EVIDENCE_MAX_AGE_MS = BEAT_MS + 5_000 // one beat, and the time its answer may take

export const BACKOFF_BASE_MS = 1_000
export const BACKOFF_CAP_MS = 60_000
export const SOON_MS = 3_000 // all devices of a restarting server come back spread over this
export const TOO_FAST_MS = 5_000
const PATIENCE_MIN_MS = 50

export const CLOSE_NORMAL = 1000

// What a close code means; all others back off.
const SOON_CODES: ReadonlySet<number> = new Set([1012, 1013])
const STOP_REASONS: ReadonlyMap<number, string> = new Map([
  [4401, "sign_in"],
  [4403, "not_allowed"],
  [4426, "upgrade_needed"],
])
const NOT_ALLOWED_CODE = 4403
const TOO_FAST_CODE = 4429
// The errors that go before a 4403, and say more than the close code.
const NOT_ALLOWED: ReadonlySet<string> = new Set([
  "not_yours",
  "forbidden",
  "creation_limit",
  "email_unverified",
])
// Only signing in or an update ends these; asking again would not.
const FIRM_REASONS: ReadonlySet<string> = new Set(["sign_in", "upgrade_needed", "left"])
const CLOSE_GRACE_MS = 2_000 // the close that follows an error to hello
const REQUESTS_MAX = 8

/**
 * What the store holds at the moment of an event.
 *
 * readSeq: read completely up to here. isWalking: a walk of several pages, or a reset, is not
 * complete. hasRows: something to heal, or the empty list is not reported yet. hasChanges:
 * something to push. mayWrite: the role allows it.
 */
export interface Facts {
  readonly readSeq: number
  readonly isWalking: boolean
  readonly hasRows: boolean
  readonly hasChanges: boolean
  readonly mayWrite: boolean
}

// --- events ------------------------------------------------------------------------------------

/** Something that a socket of ours brought; one of another generation is ignored. */
interface OfSocket {
  readonly generation: number
}

export interface Opened extends OfSocket {
  readonly type: "opened"
}

/** The socket is gone, or never came to be (code 1006). */
export interface Closed extends OfSocket {
  readonly type: "closed"
  readonly code: number
}

/** saysHelloAgain: the device has to, under a new identity or because it heals. */
export interface Welcomed extends OfSocket {
  readonly type: "welcomed"
  readonly head: number
  readonly saysHelloAgain: boolean
}

/**
 * A `changes` frame has been handled.
 *
 * isGap: it lay ahead and was not stored. isEmpty: it held no rows and costs no credit.
 */
export interface Stored extends OfSocket {
  readonly type: "stored"
  readonly head: number
  readonly more: boolean
  readonly isGap: boolean
  readonly isEmpty: boolean
}

/** saysHelloAgain: the answer has shown that this device is a copy of another. */
export interface Acked extends OfSocket {
  readonly type: "acked"
  readonly of: "push" | "rows"
  readonly saysHelloAgain: boolean
}

/** `news` or `pong`. */
export interface HeadHeard extends OfSocket {
  readonly type: "headHeard"
  readonly head: number
  readonly isPong: boolean
}

export interface SyncRequested extends OfSocket {
  readonly type: "syncRequested"
  readonly id: string
}

/** An `error` frame. isMoved: the household has moved to a fresh id because of it. */
export interface Failed extends OfSocket {
  readonly type: "failed"
  readonly of: string
  readonly code: string
  readonly retryable: boolean
  readonly retryAfterMs: number
  readonly isMoved: boolean
}

/** A frame that only says that the server is at work: `provisioning`, `status`. */
export interface Heard extends OfSocket {
  readonly type: "heard"
}

/** The queue has a new entry. */
export interface Edited {
  readonly type: "edited"
}

/** A person asks for a sync, the network is back, or the app is visible again. */
export interface Asked {
  readonly type: "asked"
}

/** Signed in again, or the app was updated. */
export interface Unblocked {
  readonly type: "unblocked"
}

/** The program ends the conversation for good. */
export interface Left {
  readonly type: "left"
}

/** Time has passed; at the latest at `wakeAt`. */
export interface Timer {
  readonly type: "timer"
}

export type SocketEvent =
  Opened | Closed | Welcomed | Stored | Acked | HeadHeard | SyncRequested | Failed | Heard
export type SessionEvent = SocketEvent | Edited | Asked | Unblocked | Left | Timer

// --- actions -----------------------------------------------------------------------------------

export type Action =
  | { readonly type: "connect"; readonly generation: number }
  | { readonly type: "disconnect"; readonly generation: number; readonly code: number }
  | { readonly type: "sendHello" }
  | { readonly type: "sendPull"; readonly ask: boolean }
  | { readonly type: "sendRows" }
  | { readonly type: "sendPush" }
  | { readonly type: "sendPing" }
  | {
      readonly type: "sendReport"
      readonly id: string
      readonly outcome: "done" | "pending" | "failed"
    }

// --- state -------------------------------------------------------------------------------------

/**
 * Where the conversation stands. Times are monotonic milliseconds.
 *
 * reason: why it is offline, stopped or does not push: an error's code or a word of ours.
 * attempt: connections in a row that brought nothing; failures: frames in a row that were
 * answered by a retryable error. holdUntilMs: the server asked for patience until then (0: no).
 * awaits: the frame whose answer is open; isAsking: a pull with `ask` is unanswered.
 * deadlineMs: when the open answer is overdue. mayPush: false after an error that a repetition
 * would not cure. head, heardMs: the server's head and when it was told. requests: sync requests
 * to be reported.
 */
export interface Session {
  readonly phase: Phase
  readonly generation: number
  readonly reason: string
  readonly attempt: number
  readonly failures: number
  readonly retryAtMs: number
  readonly holdUntilMs: number
  readonly awaits: "" | "push" | "rows"
  readonly isAsking: boolean
  readonly deadlineMs: number | null
  readonly mayPush: boolean
  readonly isMoved: boolean
  readonly isLastErrorRetryable: boolean
  readonly head: number
  readonly heardMs: number | null
  readonly beatAtMs: number
  readonly beatsMissed: number
  readonly requests: readonly string[]
}

/** Where every conversation begins: offline, and due to connect at once. */
export const NEW_SESSION: Session = {
  phase: "offline",
  generation: 0,
  reason: "",
  attempt: 0,
  failures: 0,
  retryAtMs: 0,
  holdUntilMs: 0,
  awaits: "",
  isAsking: false,
  deadlineMs: null,
  mayPush: true,
  isMoved: false,
  isLastErrorRetryable: false,
  head: 0,
  heardMs: null,
  beatAtMs: 0,
  beatsMissed: 0,
  requests: [],
}

/**
 * Full jitter: anywhere between nothing and a bound that doubles up to the cap.
 *
 * chance: random, 0 <= chance < 1. Marc Brooker 2015, Exponential Backoff And Jitter.
 */
export function backoffMs(
  attempt: number,
  chance: number,
  baseMs: number = BACKOFF_BASE_MS,
): number {
  const bound = Math.min(BACKOFF_CAP_MS, baseMs * 2 ** Math.min(Math.max(attempt, 0), 16))
  return Math.floor(chance * bound)
}

/** When `timer` is due, or null: then nothing happens by itself. */
export function wakeAt(session: Session): number | null {
  if (session.phase === "stopped") return null
  if (session.phase === "offline") return session.retryAtMs
  const times = session.deadlineMs === null ? [] : [session.deadlineMs]
  if (CONVERSING.has(session.phase)) {
    times.push(session.beatAtMs)
    if (session.holdUntilMs !== 0) times.push(session.holdUntilMs)
  }
  return times.length === 0 ? null : Math.min(...times)
}

export interface Evidence {
  readonly pending: number
  readonly parked: number
  readonly isHealing: boolean
  readonly isWalking: boolean
  readonly readSeq: number
  readonly head: number
  readonly heardMs: number | null
  readonly nowMs: number
}

/**
 * Whether "up to date" may be said: only with fresh evidence from the server.
 *
 * pending, parked: changes of this device that the server has not decided.
 * head, heardMs: the server's head as it was last told, and when (null: not in this connection);
 * nowMs: of the same clock as heardMs.
 */
export function isUpToDate(evidence: Evidence): boolean {
  const { heardMs, nowMs } = evidence
  return (
    evidence.pending === 0 &&
    evidence.parked === 0 &&
    !evidence.isHealing &&
    !evidence.isWalking &&
    heardMs !== null &&
    nowMs - heardMs >= 0 &&
    nowMs - heardMs <= EVIDENCE_MAX_AGE_MS &&
    evidence.readSeq === evidence.head
  )
}

// --- the machine -------------------------------------------------------------------------------

/** The next state, and what to do now. */
export interface Step {
  readonly session: Session
  readonly actions: readonly Action[]
}

/** The moment of an event. */
interface Moment {
  readonly facts: Facts
  readonly nowMs: number
  readonly chance: number
}

/**
 * The next state and what to do now. Total: every phase takes every event.
 *
 * facts: after the event has been taken into the store. chance: random, 0 <= chance < 1.
 */
export function step(
  session: Session,
  event: SessionEvent,
  facts: Facts,
  nowMs: number,
  chance: number,
): Step {
  if ("generation" in event && event.generation !== session.generation) {
    return stay(session) // a late word of a socket that is not ours any more
  }
  const moment = { facts, nowMs, chance }
  switch (event.type) {
    case "opened":
      return onOpened(session, moment)
    case "closed":
      return onClosed(session, event, moment)
    case "welcomed":
      return onWelcomed(session, event, moment)
    case "stored":
      return onStored(session, event, moment)
    case "acked":
      return onAcked(session, event, moment)
    case "headHeard":
      return onHeadHeard(session, event, moment)
    case "syncRequested":
      return onSyncRequested(session, event, moment)
    case "failed":
      return onFailed(session, event, moment)
    case "heard":
      return onHeard(session, moment)
    case "edited":
      return onEdited(session, moment)
    case "asked":
      return onAsked(session, moment)
    case "unblocked":
      return onUnblocked(session, moment)
    case "left":
      return onLeft(session)
    case "timer":
      return onTimer(session, moment)
  }
}

function onOpened(session: Session, { nowMs }: Moment): Step {
  if (session.phase !== "connecting") return stay(session)
  const deadlineMs = nowMs + ANSWER_TIMEOUT_MS
  return {
    session: { ...session, phase: "greeting", deadlineMs },
    actions: [{ type: "sendHello" }],
  }
}

function onClosed(session: Session, { code }: Closed, { nowMs, chance }: Moment): Step {
  if (session.phase === "offline" || session.phase === "stopped") return stay(session)
  if (session.isMoved) return stay(offline(session, nowMs, "moved", 0))
  const stopReason = STOP_REASONS.get(code)
  if (stopReason !== undefined && !session.isLastErrorRetryable) {
    const saysMore = code === NOT_ALLOWED_CODE && NOT_ALLOWED.has(session.reason)
    return stay(stopped(session, saysMore ? session.reason : stopReason))
  }
  const isSoon = SOON_CODES.has(code)
  let delayMs = backoffMs(session.attempt, chance, isSoon ? SOON_MS : BACKOFF_BASE_MS)
  if (code === TOO_FAST_CODE) delayMs += TOO_FAST_MS
  delayMs = Math.max(delayMs, session.holdUntilMs - nowMs)
  const reason = session.reason !== "" ? session.reason : isSoon ? "restarting" : "unreachable"
  return stay(offline(session, nowMs, reason, delayMs))
}

function onWelcomed(session: Session, event: Welcomed, moment: Moment): Step {
  if (session.phase !== "greeting") return stay(session)
  if (event.saysHelloAgain) return anew(session, moment)
  const pulling: Session = {
    ...session,
    phase: "pulling",
    reason: "",
    head: event.head,
    heardMs: moment.nowMs,
    beatAtMs: moment.nowMs + BEAT_MS,
    isAsking: true,
    deadlineMs: null,
  }
  return advance(pulling, moment, [{ type: "sendPull", ask: true }])
}

function onStored(session: Session, event: Stored, moment: Moment): Step {
  if (!CONVERSING.has(session.phase)) return stay(session)
  const heard = { ...session, head: event.head, heardMs: moment.nowMs }
  // A gap counts as news: the answer to a pull fills it.
  if (event.isGap) return ask(heard, moment)
  // With more to come, the credit brings the next page.
  const going = { ...progressed(heard), isAsking: event.more }
  const needsNoCredit = event.isEmpty && !event.more
  return advance(going, moment, needsNoCredit ? [] : [{ type: "sendPull", ask: false }])
}

function onAcked(session: Session, event: Acked, moment: Moment): Step {
  if (!CONVERSING.has(session.phase)) return stay(session)
  if (event.saysHelloAgain) return anew(session, moment)
  const isOurs = session.awaits === event.of
  return advance(isOurs ? { ...progressed(session), awaits: "" } : session, moment)
}

function onHeadHeard(session: Session, event: HeadHeard, moment: Moment): Step {
  if (!CONVERSING.has(session.phase)) return stay(session)
  const beatsMissed = event.isPong ? 0 : session.beatsMissed
  return advance({ ...session, head: event.head, heardMs: moment.nowMs, beatsMissed }, moment)
}

function onSyncRequested(session: Session, event: SyncRequested, moment: Moment): Step {
  if (!CONVERSING.has(session.phase)) return stay(session)
  const requests = [...session.requests, event.id].slice(-REQUESTS_MAX)
  return ask({ ...session, requests }, moment)
}

function onFailed(session: Session, event: Failed, moment: Moment): Step {
  if (session.phase !== "greeting" && !CONVERSING.has(session.phase)) return stay(session)
  const { nowMs, chance } = moment
  let failed: Session = {
    ...session,
    reason: event.code,
    isMoved: session.isMoved || event.isMoved,
    isLastErrorRetryable: event.retryable,
  }
  if (event.retryable || event.of === "pull") {
    const patienceMs = Math.max(
      event.retryAfterMs,
      backoffMs(failed.failures, chance),
      PATIENCE_MIN_MS,
    )
    failed = { ...failed, failures: failed.failures + 1, holdUntilMs: nowMs + patienceMs }
  }
  if (event.of === "push" || event.of === "rows") {
    failed = {
      ...failed,
      awaits: failed.awaits === event.of ? "" : failed.awaits,
      mayPush: failed.mayPush && event.retryable,
    }
  } else if (event.of === "pull") {
    failed = { ...failed, isAsking: false }
  }
  if (failed.phase === "greeting") return stay({ ...failed, deadlineMs: nowMs + CLOSE_GRACE_MS })
  return advance(failed, moment)
}

function onHeard(session: Session, { nowMs }: Moment): Step {
  if (session.phase !== "greeting") return stay(session)
  return stay({ ...session, deadlineMs: nowMs + ANSWER_TIMEOUT_MS })
}

function onEdited(session: Session, moment: Moment): Step {
  // Offline: the retry timer runs regardless of what its person does.
  return CONVERSING.has(session.phase) ? advance(session, moment) : stay(session)
}

function onAsked(session: Session, moment: Moment): Step {
  const mayTry = session.phase === "stopped" && !FIRM_REASONS.has(session.reason)
  if (session.phase === "offline" || mayTry) return connect({ ...session, attempt: 0 }, moment)
  if (CONVERSING.has(session.phase)) return ask({ ...session, holdUntilMs: 0 }, moment)
  return stay(session)
}

function onUnblocked(session: Session, moment: Moment): Step {
  const isWaiting = session.phase === "offline" || session.phase === "stopped"
  if (!isWaiting || session.reason === "left") return stay(session)
  return connect({ ...session, attempt: 0 }, moment)
}

function onLeft(session: Session): Step {
  const isOpen = session.phase !== "offline" && session.phase !== "stopped"
  return { session: stopped(session, "left"), actions: isOpen ? [disconnect(session)] : [] }
}

function onTimer(session: Session, moment: Moment): Step {
  const { nowMs, chance } = moment
  if (session.phase === "stopped") return stay(session)
  if (session.phase === "offline") {
    return nowMs >= session.retryAtMs ? connect(session, moment) : stay(session)
  }
  const gone = [disconnect(session)]
  const delayMs = backoffMs(session.attempt, chance)
  if (session.deadlineMs !== null && nowMs >= session.deadlineMs) {
    const reason = session.reason !== "" ? session.reason : "no_answer"
    return { session: offline(session, nowMs, reason, delayMs), actions: gone }
  }
  if (!CONVERSING.has(session.phase)) return stay(session)
  const isHoldOver = session.holdUntilMs !== 0 && nowMs >= session.holdUntilMs
  const going = isHoldOver ? { ...session, holdUntilMs: 0 } : session
  if (nowMs < going.beatAtMs) return advance(going, moment)
  if (nowMs - going.beatAtMs > SLEPT_MS) {
    return { session: offline(going, nowMs, "slept", 0), actions: gone }
  }
  if (going.beatsMissed >= BEATS_MISSED_MAX) {
    return { session: offline(going, nowMs, "no_answer", delayMs), actions: gone }
  }
  const beating = { ...going, beatAtMs: nowMs + BEAT_MS, beatsMissed: going.beatsMissed + 1 }
  return advance(beating, moment, [{ type: "sendPing" }])
}

// --- transitions -------------------------------------------------------------------------------

function stay(session: Session): Step {
  return { session, actions: [] }
}

function disconnect(session: Session): Action {
  return { type: "disconnect", generation: session.generation, code: CLOSE_NORMAL }
}

function connect(session: Session, { nowMs }: Moment): Step {
  const generation = session.generation + 1
  const connecting: Session = {
    ...NEW_SESSION,
    phase: "connecting",
    generation,
    attempt: session.attempt,
    deadlineMs: nowMs + CONNECT_TIMEOUT_MS,
  }
  return { session: connecting, actions: [{ type: "connect", generation }] }
}

function offline(session: Session, nowMs: number, reason: string, delayMs: number): Session {
  return {
    ...NEW_SESSION,
    generation: session.generation,
    reason,
    attempt: session.attempt + 1,
    retryAtMs: nowMs + delayMs,
  }
}

function stopped(session: Session, reason: string): Session {
  return { ...NEW_SESSION, phase: "stopped", generation: session.generation, reason }
}

/** The device has to introduce itself anew: leave, and come back. */
function anew(session: Session, { nowMs, chance }: Moment): Step {
  // Counted as an attempt: a server that takes every identity is not asked in a tight loop.
  const delayMs = session.attempt === 0 ? 0 : backoffMs(session.attempt, chance)
  return {
    session: offline(session, nowMs, "hello_again", delayMs),
    actions: [disconnect(session)],
  }
}

/** The server has answered: patience and the deadline of what is still open begin anew. */
function progressed(session: Session): Session {
  return {
    ...session,
    attempt: 0,
    failures: 0,
    reason: session.mayPush ? "" : session.reason,
    isLastErrorRetryable: false,
    deadlineMs: null,
  }
}

/** Pull in any case, unless an answer is on its way already. */
function ask(session: Session, moment: Moment): Step {
  if (session.isAsking || session.holdUntilMs > moment.nowMs) return advance(session, moment)
  return advance({ ...session, isAsking: true }, moment, [{ type: "sendPull", ask: true }])
}

/** Send what is next: pull up to the head, then heal, then push, then be idle. */
function advance(session: Session, moment: Moment, before: readonly Action[] = []): Step {
  const { facts, nowMs } = moment
  const actions = [...before]
  const isHeld = session.holdUntilMs > nowMs
  const isBehind = facts.isWalking || facts.readSeq !== session.head
  let { isAsking, awaits, requests } = session
  if (isBehind && !isAsking && !isHeld) {
    actions.push({ type: "sendPull", ask: true })
    isAsking = true
  }
  if (session.phase === "pulling" && isBehind) {
    return { session: withDeadline({ ...session, isAsking }, nowMs), actions }
  }
  const maySend = facts.mayWrite && session.mayPush
  const next = !maySend ? "" : facts.hasRows ? "rows" : facts.hasChanges ? "push" : ""
  const phase = phaseOf(awaits !== "" ? awaits : next)
  if (next !== "" && awaits === "" && !isHeld) {
    actions.push({ type: next === "rows" ? "sendRows" : "sendPush" })
    awaits = next
  }
  if (phase === "idle" && !isAsking && !isHeld) {
    const outcome = facts.hasRows || facts.hasChanges ? "failed" : "done"
    actions.push(...requests.map((id) => ({ type: "sendReport", id, outcome }) as const))
    requests = []
  }
  return {
    session: withDeadline({ ...session, phase, isAsking, awaits, requests }, nowMs),
    actions,
  }
}

function phaseOf(open: Session["awaits"]): Phase {
  return open === "" ? "idle" : open === "rows" ? "healing" : "pushing"
}

/** A deadline while an answer is open, none otherwise. */
function withDeadline(session: Session, nowMs: number): Session {
  if (session.awaits === "" && !session.isAsking) return { ...session, deadlineMs: null }
  return { ...session, deadlineMs: session.deadlineMs ?? nowMs + ANSWER_TIMEOUT_MS }
}
