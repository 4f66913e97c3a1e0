// Data and session together: frames in, frames out, one thing after the other. No socket and no
// clock of its own: WebSocketService drives it, and so do the tests.

import { BadFrame } from "../../sync/core/errors"
import { encode, textToDown } from "../../sync/core/frames"
import type { DownFrame } from "../../sync/core/messages"
import {
  type Action,
  NEW_SESSION,
  type Session,
  type SessionEvent,
  step,
  wakeAt,
} from "../../sync/core/session"
import { LeaseLost } from "../data/ground"
import type { DataService } from "../DataService"
import { Trouble } from "../errors"

const TOO_LARGE_CODES: ReadonlySet<number> = new Set([1009, 4413])
const PROTOCOL_ERROR = 1002

/** What a conversation asks of whoever holds the socket. */
export interface Line {
  connect(generation: number, household: string): void
  disconnect(generation: number, code: number): void
  send(generation: number, text: string): void
  /** Something has happened: look at the state, set the timer. */
  moved(): void
  /** Another tab's conversation counts now: this one is over. */
  leaseLost(): void
  /** The household had to move to a fresh id. */
  householdMoved(household: string): void
  /** The server has told who is signed in, or which household this is. */
  welcomed(frame: Extract<DownFrame, { type: "welcome" }>): Promise<boolean>
}

/** nowMs, everywhere: a monotonic clock, not the wall clock. */
export class Conversation {
  session: Session = NEW_SESSION
  /** The sentence of the latest `error` or status, for people; "" after success. */
  lastError = ""
  /** The code of the latest `error` frame, "" after a welcome. */
  lastCode = ""
  /** How far the server is with making the household. */
  provisioning: { readonly step: number; readonly of: number } | null = null
  /** False: an answer may have moved the head since it was heard. */
  isConfirmed = true
  /** When the server last took or brought something. */
  progressMs: number
  /** Rows of this walk, and its way in seqs: how far the first load is. */
  walk: { readonly to: number; readonly head: number } | null = null

  private last: Promise<void> = Promise.resolve()
  private isEditWaiting = false

  constructor(
    private readonly data: DataService,
    private readonly line: Line,
    private readonly nowMs: () => number,
  ) {
    this.progressMs = nowMs()
  }

  /** Take an event after all that came before it. Never rejects. */
  take(event: SessionEvent): Promise<void> {
    return event.type === "edited" ? this.edited() : this.enqueue(() => this.step(event))
  }

  /** A thousand edits in a moment are looked at once: nothing else waits behind them. */
  private edited(): Promise<void> {
    if (this.isEditWaiting) return this.last
    this.isEditWaiting = true
    return this.enqueue(() => {
      this.isEditWaiting = false // what is queued from here on, this look may miss
      return this.step({ type: "edited" })
    })
  }

  /** One frame. What is no frame of the protocol ends the connection; nothing is changed then. */
  received(generation: number, text: string): Promise<void> {
    return this.enqueue(async () => {
      if (generation !== this.session.generation) return // not our socket any more
      const event = await this.heard(generation, textToDown(text))
      await this.step(event)
    })
  }

  closed(generation: number, code: number): Promise<void> {
    if (TOO_LARGE_CODES.has(code)) this.data.carryLess(true)
    return this.take({ type: "closed", generation, code })
  }

  /** When to take a timer event; null: nothing happens by itself. */
  wakeAt(): number | null {
    return wakeAt(this.session)
  }

  /** When all that came in until now has been handled. */
  settled(): Promise<void> {
    return this.last
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    this.last = this.last.then(async () => {
      try {
        await work()
      } catch (error) {
        await this.giveUp(error)
      }
      this.line.moved()
    })
    return this.last
  }

  /** Nothing was stored of what failed; the frame comes again on the next connection. */
  private async giveUp(error: unknown): Promise<void> {
    const { generation } = this.session
    if (error instanceof LeaseLost) {
      this.line.leaseLost()
      return
    }
    const isKnown = error instanceof BadFrame || error instanceof Trouble
    this.lastError = isKnown ? error.message : `This program failed: ${String(error)}`
    if (!isKnown) console.error(error)
    this.line.disconnect(generation, PROTOCOL_ERROR)
    try {
      await this.step({ type: "closed", generation, code: PROTOCOL_ERROR })
    } catch {
      // The database is gone: nothing can be decided any more. It has told its listeners.
      this.session = { ...NEW_SESSION, phase: "stopped", generation, reason: "storage" }
    }
  }

  private async step(event: SessionEvent): Promise<void> {
    const facts = await this.data.facts()
    const nowMs = this.nowMs()
    const { awaits, isAsking } = this.session
    const done = step(this.session, event, facts, nowMs, this.data.world.chance())
    this.session = done.session
    const wasCarrying = awaits !== "" || isAsking
    if (wasCarrying && done.session.phase === "offline") this.data.carryLess()
    for (const action of done.actions) await this.act(action)
  }

  private async act(action: Action): Promise<void> {
    const { data, line } = this
    switch (action.type) {
      case "connect": {
        await data.takeLease()
        this.walk = null
        const { household } = await data.meta()
        line.connect(action.generation, household)
        return
      }
      case "disconnect":
        line.disconnect(action.generation, action.code)
        return
      case "sendHello":
        return this.send(data.hello())
      case "sendPull":
        return this.send(data.pull(action.ask))
      case "sendPush":
        return this.send(data.push())
      case "sendRows":
        return this.send(data.rowsToHeal())
      case "sendPing":
        return this.send(data.ping())
      case "sendReport":
        return this.send(data.report(action.id, action.outcome))
    }
  }

  private async send(frame: ReturnType<DataService["hello"]>): Promise<void> {
    const { generation } = this.session
    this.line.send(generation, encode(await frame))
  }

  private gotOn(): void {
    this.progressMs = this.nowMs()
    this.data.carryMore()
  }

  /** Take a frame into the database, and say what it was. */
  private async heard(generation: number, frame: DownFrame): Promise<SessionEvent> {
    const { data } = this
    switch (frame.type) {
      case "welcome": {
        this.lastError = this.lastCode = ""
        this.provisioning = null
        if (!(await this.line.welcomed(frame))) return { type: "left" }
        const saysHelloAgain = await data.onWelcome(frame)
        this.isConfirmed = true
        this.progressMs = this.nowMs()
        return { type: "welcomed", generation, head: frame.head, saysHelloAgain }
      }
      case "changes": {
        const cameTo = await data.onChanges(frame)
        const isStored = cameTo === "stored"
        if (frame.rows.length > 0 && isStored) this.gotOn()
        if (cameTo !== "gap") this.isConfirmed = true
        this.walk = frame.more && isStored ? { to: frame.to, head: frame.head } : null
        return {
          type: "stored",
          generation,
          head: frame.head,
          more: frame.more && isStored,
          isGap: cameTo === "gap",
          isEmpty: frame.rows.length === 0 && isStored,
        }
      }
      case "ack": {
        const before = data.traffic.sent
        const saysHelloAgain = await data.onAck(frame)
        this.gotOn()
        // Its own push has moved the head: only a later word is evidence.
        if (data.traffic.sent > before || frame.of === "rows") this.isConfirmed = false
        return { type: "acked", generation, of: frame.of ?? "push", saysHelloAgain }
      }
      case "news":
        this.isConfirmed = true
        return { type: "headHeard", generation, head: frame.head, isPong: false }
      case "pong":
        await data.onTime(frame.timeMs)
        this.isConfirmed = true
        return { type: "headHeard", generation, head: frame.head, isPong: true }
      case "sync_request":
        return { type: "syncRequested", generation, id: frame.id }
      case "error": {
        this.lastError = frame.message
        this.lastCode = frame.code
        if (frame.code === "forbidden" && frame.of === "push") await data.onForbidden()
        const mayMove = frame.of === "hello" && frame.code === "not_yours"
        const household = mayMove ? await data.moveHousehold() : null
        if (household !== null) this.line.householdMoved(household)
        return {
          type: "failed",
          generation,
          of: frame.of ?? "",
          code: frame.code,
          retryable: frame.retryable ?? false,
          retryAfterMs: frame.retryAfterMs ?? 0,
          isMoved: household !== null,
        }
      }
      case "provisioning":
        this.provisioning = { step: frame.step, of: frame.of }
        return { type: "heard", generation }
      case "status":
        this.lastError = frame.state === "online" ? "" : (frame.message ?? "")
        return { type: "heard", generation }
    }
  }
}
