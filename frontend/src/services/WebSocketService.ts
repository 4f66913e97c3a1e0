// The connection of one household: connect, send, receive, come back; one tab for all.
//
//     socket/conversation.ts  session and data together, one event after the other
//     socket/leadership.ts    which tab talks
//     socket/ticker.ts        a clock that also moves while the machine sleeps
//     socket/pacer.ts         no faster than the server takes it
//
// Every callback of a socket first asks whether it is still the socket: a late one is ignored.
// What is decided, and when, is written in sync/core/session.ts.

import { CLOSE_CODES, PROTOCOL, type Welcome } from "../sync/core/messages"
import type { Phase } from "../sync/core/session"
import type { SyncOutcome } from "../types"
import type { DataService } from "./DataService"
import { Conversation } from "./socket/conversation"
import { Leadership } from "./socket/leadership"
import { Pacer } from "./socket/pacer"
import { newTicker } from "./socket/ticker"

const ABNORMAL = 1006
const NOT_STARTED = 0
const SYNC_REACH_MS = 6_000 // how long a sync by hand tries when no server answers
const SYNC_PATIENCE_MS = 30_000 // and how long it waits for the next sign from one that does
const SYNC_ASIDE_MS = 40_000 // and how long a tab waits for the one that leads
const CONFIRM_MS = 150 // the page that follows an answer comes sooner

/** How the conversation stands, wherever it is held. Ages instead of times: tabs share no clock. */
export interface Picture {
  readonly phase: Phase
  readonly reason: string
  readonly attempt: number
  readonly retryInMs: number | null
  readonly head: number
  readonly heardAgoMs: number | null
  readonly isConfirmed: boolean
  readonly awayForMs: number | null
  readonly progressAgoMs: number
  readonly walk: { readonly to: number; readonly head: number } | null
  readonly provisioning: { readonly step: number; readonly of: number } | null
  readonly lastError: string
  readonly lastCode: string
}

export interface SocketEvents {
  /** The picture is another one, here or in the tab that leads. */
  readonly pictured: (picture: Picture, isLeader: boolean) => void
  /** Who is signed in is not whose data this is, or nobody is. */
  readonly signedOut: (otherUser: string | null) => void
  /** Whether to go on: false if somebody else is signed in. */
  readonly welcomed: (welcome: Welcome) => Promise<boolean>
  readonly householdMoved: (household: string) => void
  /** Before connecting: false if the server would take this device for somebody else's. */
  readonly mayConnect: () => Promise<boolean>
}

type Word =
  | { readonly type: "picture"; readonly picture: Picture }
  | { readonly type: "look" }
  | { readonly type: "sync"; readonly id: string }
  | { readonly type: "synced"; readonly id: string; readonly outcome: SyncOutcome }
  | { readonly type: "renew" }

interface Line {
  readonly generation: number
  readonly socket: WebSocket
  readonly pacer: Pacer
  readonly outbound: string[]
  timer: ReturnType<typeof setTimeout> | null
}

export class WebSocketService {
  readonly nowMs = newTicker()
  private readonly leadership: Leadership
  private conversation: Conversation | null = null
  private line: Line | null = null
  private timer: ReturnType<typeof setTimeout> | null = null
  private confirming: ReturnType<typeof setTimeout> | null = null
  private awayMs: number | null
  private isWithoutNetwork = !isOnline()
  private tried = 0 // sockets since there was no network
  private lastHeard: { head: number; atMs: number } | null = null
  private told: { readonly picture: Picture; readonly atMs: number } | null = null
  private waiting = new Set<() => void>()
  private readonly answers = new Map<string, (outcome: SyncOutcome) => void>()
  private readonly scope = new AbortController()

  /** address: of a household's socket. */
  constructor(
    private readonly data: DataService,
    private readonly address: (household: string) => string,
    private readonly events: SocketEvents,
  ) {
    this.awayMs = this.nowMs()
    this.leadership = new Leadership(data.name, {
      led: () => {
        this.begin()
      },
      lost: () => {
        void this.leave()
      },
      heard: (word) => {
        this.hearTab(word as Word)
      },
    })
  }

  get isLeader(): boolean {
    return this.leadership.isLeader
  }

  start(): void {
    const { signal } = this.scope
    addEventListener("online", () => void this.found(), { signal })
    addEventListener("offline", () => void this.without(), { signal })
    addEventListener("pagehide", () => { this.leadership.pause() }, { signal })
    addEventListener("pageshow", () => { this.leadership.resume() }, { signal })
    document.addEventListener("freeze", () => { this.leadership.pause() }, { signal })
    document.addEventListener("resume", () => { this.leadership.resume() }, { signal })
    document.addEventListener("visibilitychange", () => void this.seen(), { signal })
    this.leadership.start()
    this.leadership.say({ type: "look" } satisfies Word)
  }

  /** The end of this service; what is kept stays. */
  async end(): Promise<void> {
    this.scope.abort()
    await this.leave()
    this.leadership.end()
    for (const wake of this.waiting) wake()
  }

  /** The queue has a new entry, made here or in another tab. */
  async edited(): Promise<void> {
    await this.conversation?.take({ type: "edited" })
  }

  /** Begin anew, as whoever is signed in now. */
  async renew(): Promise<void> {
    if (this.conversation === null) {
      this.leadership.say({ type: "renew" } satisfies Word)
      return
    }
    await this.leave()
    if (this.isLeader) this.begin()
  }

  picture(): Picture {
    if (this.conversation !== null) return this.ownPicture(this.conversation)
    if (this.told !== null) return aged(this.told.picture, this.nowMs() - this.told.atMs)
    return { ...NOTHING, awayForMs: this.awayMs === null ? null : this.nowMs() - this.awayMs }
  }

  /** Bring everything up to date, or find out why that cannot be. */
  async syncNow(): Promise<SyncOutcome> {
    if (this.conversation !== null) return this.sync(this.conversation)
    this.leadership.ask()
    const id = this.data.world.token(8)
    return new Promise((resolve) => {
      const end = (outcome: SyncOutcome) => {
        clearTimeout(late)
        this.answers.delete(id)
        resolve(outcome)
      }
      const late = setTimeout(() => { end({ kind: "failed", reason: "no_answer" }) }, SYNC_ASIDE_MS)
      this.answers.set(id, end)
      this.leadership.say({ type: "sync", id } satisfies Word)
      // Whoever leads may be frozen: then this tab soon does, and answers itself.
      void this.until(() => this.conversation !== null).then(async () => {
        if (this.conversation !== null && this.answers.has(id)) {
          end(await this.sync(this.conversation))
        }
      })
    })
  }

  // --- leading -----------------------------------------------------------------------------------

  private begin(): void {
    this.takeOver()
    const conversation = new Conversation(this.data, {
      connect: (generation, household) => void this.connect(generation, household),
      disconnect: (generation, code) => { this.hangUp(generation, code) },
      send: (generation, text) => { this.send(generation, text) },
      moved: () => { this.moved() },
      leaseLost: () => { this.leadership.yield() },
      householdMoved: this.events.householdMoved,
      welcomed: this.events.welcomed,
    }, this.nowMs)
    this.conversation = conversation
    void conversation.take({ type: "asked" })
  }

  /** What the tab that led before has heard is no older because another one talks now. */
  private takeOver(): void {
    if (this.told === null) return
    const nowMs = this.nowMs()
    const { head, heardAgoMs, awayForMs, isConfirmed } = this.picture()
    const isEvidence = isConfirmed && heardAgoMs !== null
    this.lastHeard = isEvidence ? { head, atMs: nowMs - heardAgoMs } : null
    this.awayMs = nowMs - (awayForMs ?? 0)
    this.told = null
  }

  private async leave(): Promise<void> {
    const { conversation } = this
    if (conversation !== null) {
      this.told = { picture: over(this.ownPicture(conversation)), atMs: this.nowMs() }
    }
    this.conversation = null
    this.stopTimers()
    if (this.line !== null) this.hangUp(this.line.generation, 1000)
    this.moved()
    await conversation?.settled()
  }

  private async connect(generation: number, household: string): Promise<void> {
    const { conversation } = this
    if (conversation === null) return
    // The machine knows that it has no network: no need to try, the retry timer goes on.
    if (!isOnline() || !(await this.events.mayConnect())) {
      await conversation.closed(generation, ABNORMAL)
      return
    }
    // It took so long that another attempt has begun meanwhile, or another tab leads.
    const isDue = this.conversation === conversation && conversation.session.generation === generation
    if (!isDue) return
    let socket: WebSocket
    try {
      socket = new WebSocket(this.address(household), PROTOCOL)
    } catch {
      await conversation.closed(generation, ABNORMAL)
      return
    }
    if (this.line !== null) this.hangUp(this.line.generation, 1000)
    const line: Line = { generation, socket, pacer: new Pacer(this.nowMs()), outbound: [], timer: null }
    this.line = line
    this.tried++
    const isOurs = () => this.line === line && this.conversation === conversation
    socket.onopen = () => {
      if (isOurs()) void conversation.take({ type: "opened", generation })
    }
    socket.onmessage = ({ data }: MessageEvent) => {
      if (isOurs() && typeof data === "string") void conversation.received(generation, data)
    }
    socket.onclose = ({ code }) => {
      if (!isOurs()) return
      this.line = null
      if (code in CLOSE_CODES && code === SIGN_IN) this.events.signedOut(null)
      void conversation.closed(generation, code)
    }
  }

  private hangUp(generation: number, code: number): void {
    const { line } = this
    if (line?.generation !== generation) return
    this.line = null
    if (line.timer !== null) clearTimeout(line.timer)
    // A browser lets a page close only with 1000 or a code of its own.
    line.socket.close(code === 1000 ? code : 3000 + (code % 1000))
  }

  private send(generation: number, text: string): void {
    const { line } = this
    if (line?.generation !== generation) return
    line.outbound.push(text)
    if (line.timer === null) this.flush(line)
  }

  private flush(line: Line): void {
    line.timer = null
    while (line.outbound.length > 0 && line.socket.readyState === WebSocket.OPEN) {
      const waitMs = line.pacer.waitMs(this.nowMs())
      line.socket.send(line.outbound.shift() ?? "")
      if (waitMs > 0) {
        line.timer = setTimeout(() => { this.flush(line) }, waitMs)
        return
      }
    }
  }

  // --- what happens to the page ------------------------------------------------------------------

  private async asked(): Promise<void> {
    await this.conversation?.take({ type: "asked" })
  }

  private async without(): Promise<void> {
    this.isWithoutNetwork = true
    this.tried = 0
    await this.lost()
  }

  /** The network of its socket is gone: it is dead, though it does not know yet. */
  private async lost(): Promise<void> {
    const { conversation, line } = this
    if (conversation === null || line === null) {
      this.moved()
      return
    }
    this.hangUp(line.generation, 1000)
    await conversation.closed(line.generation, ABNORMAL)
  }

  /**
   * The machine has a network; if it was not without one before, another one (from Wi-Fi to
   * mobile): the address of a socket from before is gone, and nobody closes it.
   */
  private async found(): Promise<void> {
    const isAnother = !this.isWithoutNetwork
    this.isWithoutNetwork = false
    if (isAnother) await this.lost()
    await this.asked()
  }

  private async seen(): Promise<void> {
    if (document.visibilityState !== "visible") return
    this.leadership.ask()
    try {
      await this.data.catchUp()
    } catch {
      return // the database has told its listeners
    }
    // After a sleep the timer finds that the socket is dead; otherwise a pull is the proof.
    await this.conversation?.take({ type: "timer" })
    await this.asked()
  }

  // --- time --------------------------------------------------------------------------------------

  private moved(): void {
    const { conversation } = this
    if (conversation !== null) {
      const { session } = conversation
      if (session.heardMs !== null) this.lastHeard = { head: session.head, atMs: session.heardMs }
      const isAway = !CONVERSING.has(session.phase)
      this.awayMs = isAway ? (this.awayMs ?? this.nowMs()) : null
      this.setTimer(conversation)
      this.confirm(conversation)
      const picture = this.ownPicture(conversation)
      this.leadership.say({ type: "picture", picture } satisfies Word)
    }
    this.events.pictured(this.picture(), this.isLeader)
    for (const wake of [...this.waiting]) wake()
  }

  private setTimer(conversation: Conversation): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const atMs = conversation.wakeAt()
    if (atMs === null) return
    this.timer = setTimeout(() => {
      this.timer = null
      if (this.conversation === conversation) void conversation.take({ type: "timer" })
    }, Math.max(atMs - this.nowMs(), 0) + 1)
  }

  /** Its own push has moved the head: ask, if the server does not say so by itself. */
  private confirm(conversation: Conversation): void {
    const isDue = !conversation.isConfirmed && conversation.session.phase === "idle"
    if (!isDue || this.confirming !== null) return
    this.confirming = setTimeout(() => {
      this.confirming = null
      if (this.conversation === conversation && !conversation.isConfirmed) void this.asked()
    }, CONFIRM_MS)
  }

  private stopTimers(): void {
    for (const timer of [this.timer, this.confirming]) if (timer !== null) clearTimeout(timer)
    this.timer = this.confirming = null
  }

  // --- a sync by hand ----------------------------------------------------------------------------

  private async sync(conversation: Conversation): Promise<SyncOutcome> {
    const before = this.data.traffic
    const startedMs = this.nowMs()
    await conversation.take({ type: "asked" })
    for (;;) {
      const { session } = conversation
      if (this.conversation !== conversation) return { kind: "failed", reason: "no_answer" }
      if (session.phase === "stopped") return { kind: "failed", reason: reasonOf(session.reason) }
      if (isDone(conversation, startedMs)) {
        if (!session.mayPush) return { kind: "failed", reason: reasonOf(session.reason) }
        const { sent, received } = this.data.traffic
        return { kind: "checked", sent: sent - before.sent, received: received - before.received }
      }
      if (!isOnline()) return { kind: "failed", reason: "offline" }
      const isReached = CONVERSING.has(session.phase)
      const sinceMs = isReached ? Math.max(conversation.progressMs, startedMs) : startedMs
      const leftMs = sinceMs + (isReached ? SYNC_PATIENCE_MS : SYNC_REACH_MS) - this.nowMs()
      if (leftMs <= 0) return { kind: "failed", reason: isReached ? "busy" : "unreachable" }
      await this.until(() => true, leftMs)
    }
  }

  /** Wait until something holds, asked whenever anything has happened; or until the time is over. */
  private until(holds: () => boolean, patienceMs = SYNC_ASIDE_MS): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(late)
        this.waiting.delete(look)
        resolve()
      }
      const look = () => {
        if (holds() || this.scope.signal.aborted) end()
      }
      const late = setTimeout(end, patienceMs)
      this.waiting.add(look)
    })
  }

  // --- other tabs --------------------------------------------------------------------------------

  private hearTab(word: Word): void {
    const { conversation } = this
    switch (word.type) {
      case "picture":
        if (conversation !== null) return
        this.told = { picture: word.picture, atMs: this.nowMs() }
        this.moved()
        return
      case "look":
        if (conversation !== null) this.moved()
        return
      case "sync":
        if (conversation !== null) {
          void this.sync(conversation).then((outcome) => {
            this.leadership.say({ type: "synced", id: word.id, outcome } satisfies Word)
          })
        }
        return
      case "synced":
        this.answers.get(word.id)?.(word.outcome)
        return
      case "renew":
        if (conversation !== null) void this.renew()
    }
  }

  private ownPicture(conversation: Conversation): Picture {
    const { session, isConfirmed, walk, provisioning, lastError, lastCode } = conversation
    const nowMs = this.nowMs()
    const heard = session.heardMs === null ? this.lastHeard : { head: session.head, atMs: session.heardMs }
    return {
      phase: session.phase,
      reason: session.reason,
      // Without a network nobody was asked: that is no server which does not answer.
      attempt: Math.min(session.attempt, this.tried),
      retryInMs: session.phase === "offline" ? Math.max(session.retryAtMs - nowMs, 0) : null,
      head: heard?.head ?? 0,
      heardAgoMs: heard === null ? null : nowMs - heard.atMs,
      isConfirmed,
      awayForMs: this.awayMs === null ? null : nowMs - this.awayMs,
      progressAgoMs: nowMs - conversation.progressMs,
      walk,
      provisioning,
      lastError,
      lastCode,
    }
  }
}

const SIGN_IN = 4401
const CONVERSING: ReadonlySet<Phase> = new Set(["pulling", "healing", "pushing", "idle"])

const NOTHING: Picture = {
  phase: "offline",
  reason: "",
  attempt: 0,
  retryInMs: null,
  head: 0,
  heardAgoMs: null,
  isConfirmed: true,
  awayForMs: NOT_STARTED,
  progressAgoMs: 0,
  walk: null,
  provisioning: null,
  lastError: "",
  lastCode: "",
}

/** The picture of a conversation that this tab does not hold any more, until another one tells. */
function over(picture: Picture): Picture {
  if (picture.phase === "stopped") return picture
  return { ...picture, phase: "offline", retryInMs: null, awayForMs: picture.awayForMs ?? 0 }
}

function aged(picture: Picture, byMs: number): Picture {
  const add = (ms: number | null) => (ms === null ? null : ms + byMs)
  return {
    ...picture,
    retryInMs: picture.retryInMs === null ? null : Math.max(picture.retryInMs - byMs, 0),
    heardAgoMs: add(picture.heardAgoMs),
    awayForMs: add(picture.awayForMs),
    progressAgoMs: picture.progressAgoMs + byMs,
  }
}

/** Idle, and the server has been heard since: there is nothing more to be done now. */
function isDone({ session, isConfirmed }: Conversation, sinceMs: number): boolean {
  return (
    session.phase === "idle" &&
    !session.isAsking &&
    isConfirmed &&
    session.heardMs !== null &&
    session.heardMs >= sinceMs
  )
}

/** Why a sync by hand could not be, in the words of the contract. */
function reasonOf(reason: string): Extract<SyncOutcome, { kind: "failed" }>["reason"] {
  switch (reason) {
    case "sign_in":
      return "signed_out"
    case "upgrade_needed":
      return "update_needed"
    case "not_yours":
    case "not_allowed":
      return "not_yours"
    case "creation_limit":
    case "email_unverified":
      return reason
    case "forbidden":
      return "viewer"
    case "storage":
      return "cannot_save"
    case "left":
      return "signed_out"
    default:
      return "unreachable"
  }
}

function isOnline(): boolean {
  // Only "offline" can be believed: "online" means that there is some network.
  return (navigator as { readonly onLine?: boolean }).onLine !== false
}
