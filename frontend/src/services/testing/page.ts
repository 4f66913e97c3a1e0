// A page, for tests of what lives in one: its window, its document, its sockets, its clock. Time
// passes when the test says so (`pass`); what the database does takes none of it.

import { vi } from "vitest"

import type { DownFrame, UpFrame } from "../../sync/core/messages"
import { FakeChannel, FakeLocks } from "./tabs"

const STEP_MS = 1_000
const STEPS_MAX = 60

/** Whoever answers sockets: a server, or the test itself. */
export interface Answering {
  readonly opened: (socket: FakeSocket) => void
  readonly said: (socket: FakeSocket, frame: UpFrame) => void
  readonly ended: (socket: FakeSocket) => void
}

/** A server that takes every socket and says nothing. */
export const SILENT: Answering = {
  opened: (socket) => {
    socket.open()
  },
  said: () => undefined,
  ended: () => undefined,
}

/** Nobody is there. */
export const ABSENT: Answering = {
  ...SILENT,
  opened: (socket) => {
    socket.end(1006)
  },
}

/** The network takes everything and brings nothing. */
export const BLACK_HOLE: Answering = { ...SILENT, opened: () => undefined }

export class FakePage {
  readonly window = new EventTarget()
  readonly document = Object.assign(new EventTarget(), { visibilityState: "visible" })
  readonly navigator: { onLine: boolean; userAgent: string; locks?: FakeLocks } = {
    onLine: true,
    userAgent: "Test",
    locks: new FakeLocks(),
  }
  readonly sockets: FakeSocket[] = []
  answering: Answering = SILENT
  /** Listeners of the window and the document that nobody has taken away. */
  listeners = 0

  constructor() {
    for (const target of [this.window, this.document]) this.count(target)
  }

  get alive(): readonly FakeSocket[] {
    return this.sockets.filter((socket) => socket.readyState <= FakeSocket.OPEN)
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error("There was no socket.")
    return socket
  }

  online(isOnline: boolean): void {
    this.navigator.onLine = isOnline
    this.window.dispatchEvent(new Event(isOnline ? "online" : "offline"))
  }

  show(visibilityState: "visible" | "hidden"): void {
    this.document.visibilityState = visibilityState
    this.document.dispatchEvent(new Event("visibilitychange"))
  }

  private count(target: EventTarget): void {
    const add = target.addEventListener.bind(target)
    target.addEventListener = (type, listener, options) => {
      add(type, listener, options)
      this.listeners++
      const signal = typeof options === "object" ? options.signal : undefined
      signal?.addEventListener("abort", () => this.listeners--)
    }
  }
}

export class FakeSocket {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSING = 2
  static readonly CLOSED = 3
  static page: FakePage

  readyState = FakeSocket.CONNECTING
  onopen: (() => void) | null = null
  onmessage: ((event: { readonly data: unknown }) => void) | null = null
  onclose: ((event: { readonly code: number }) => void) | null = null
  readonly sent: UpFrame[] = []
  /** With which code this side has hung up. */
  hungUp: number | null = null
  private readonly page = FakeSocket.page

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    this.page.sockets.push(this)
    queueMicrotask(() => {
      this.page.answering.opened(this)
    })
  }

  get types(): readonly string[] {
    return this.sent.map((frame) => frame.type)
  }

  open(): void {
    if (this.readyState !== FakeSocket.CONNECTING) return
    this.readyState = FakeSocket.OPEN
    this.onopen?.()
  }

  hear(frame: DownFrame | string): void {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) })
  }

  /** The other side has closed, or the network has. */
  end(code: number): void {
    if (this.readyState === FakeSocket.CLOSED) return
    this.readyState = FakeSocket.CLOSED
    this.onclose?.({ code })
  }

  send(text: string): void {
    if (this.readyState === FakeSocket.CONNECTING) throw new DOMException("", "InvalidStateError")
    const frame = JSON.parse(text) as UpFrame
    this.sent.push(frame)
    if (this.readyState === FakeSocket.OPEN) this.page.answering.said(this, frame)
  }

  close(code: number): void {
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new DOMException("", "InvalidAccessError")
    if (this.readyState >= FakeSocket.CLOSING) return
    this.readyState = FakeSocket.CLOSING
    this.hungUp = code
    this.page.answering.ended(this)
  }
}

/** Let this be the page, with a clock of its own, until `closePage`. */
export function openPage(): FakePage {
  const page = new FakePage()
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  })
  FakeSocket.page = page
  const { window } = page
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window))
  vi.stubGlobal("document", page.document)
  vi.stubGlobal("navigator", page.navigator)
  vi.stubGlobal("WebSocket", FakeSocket)
  vi.stubGlobal("BroadcastChannel", FakeChannel)
  return page
}

export function closePage(): void {
  FakeChannel.all.clear()
  vi.useRealTimers()
  vi.unstubAllGlobals()
}

/** Let time pass, and everything happen that is due by then. */
export async function pass(ms: number): Promise<void> {
  const steps = Math.min(Math.max(Math.ceil(ms / STEP_MS), 1), STEPS_MAX)
  for (let n = 0; n < steps; n++) {
    await vi.advanceTimersByTimeAsync(ms / steps)
    await rest()
  }
}

/** Let everything happen that needs no time. */
export async function rest(): Promise<void> {
  // The database works in turns of the event loop: some dozens for each transaction.
  for (let turn = 0; turn < 150; turn++) await new Promise((done) => setImmediate(done))
}

/** Wait, without time, until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (holds()) return
    await new Promise((done) => setImmediate(done))
  }
  throw new Error(`It never came to hold: ${holds.toString()}`)
}
