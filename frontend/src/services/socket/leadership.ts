// Which tab talks to the server. Several tabs show one household; one of them sends.
//
// With Web Locks the browser says who leads, and gives the lead on when a tab ends. A leader that
// is frozen does not answer any more: a visible tab takes the lead from it. Without Web Locks
// everybody who hears no leader leads. Both are only to save work: who is right is decided by the
// lease in the database, in the transaction of every frame.

import { openChannel } from "../DataService"

const ANSWER_MS = 1_500 // a leader that is awake answers at once, also in a hidden tab
const WATCH_MS = 5_000
const RETRY_MS = 1_000

type Word =
  | { readonly type: "who" }
  | { readonly type: "here" }
  | { readonly type: "leaving" }
  | { readonly type: "word"; readonly word: unknown }

export interface LeadershipEvents {
  /** This tab leads from now on. */
  readonly led: () => void
  /** Another tab leads from now on, or nobody: say nothing more. */
  readonly lost: () => void
  /** What another tab has said (`say`). */
  readonly heard: (word: unknown) => void
}

export class Leadership {
  isLeader = false
  private readonly channel: BroadcastChannel | null
  private turn: AbortController | null = null // of the request for the lock that counts
  private release: (() => void) | null = null
  private watch: ReturnType<typeof setInterval> | null = null
  private unanswered: ReturnType<typeof setTimeout> | null = null
  private isOver = false
  private isAway = false

  /** name: of the database. locks: null where the browser has none. */
  constructor(
    private readonly name: string,
    private readonly events: LeadershipEvents,
    private readonly locks: LockManager | null = lockManager(),
  ) {
    this.channel = openChannel(`${name}/tabs`)
    this.channel?.addEventListener("message", (event: MessageEvent<Word>) => {
      this.hear(event.data)
    })
  }

  start(): void {
    if (this.locks === null) this.ask()
    else void this.request(this.locks, false)
    this.watch = setInterval(() => {
      if (isVisible()) this.ask()
    }, WATCH_MS)
  }

  /** Look whether the leader is still there; this tab has just become visible. */
  ask(): void {
    if (this.isLeader || this.isOver || this.isAway || this.unanswered !== null) return
    this.tell({ type: "who" })
    this.unanswered = setTimeout(() => {
      this.unanswered = null
      if (!this.isLeader && !this.isOver && isVisible()) this.take()
    }, ANSWER_MS)
  }

  /** Lead, whoever did until now. */
  take(): void {
    if (this.isLeader || this.isOver) return
    if (this.locks === null) this.lead()
    else void this.request(this.locks, true)
  }

  /** Say something to the other tabs. */
  say(word: unknown): void {
    this.tell({ type: "word", word })
  }

  /** Another tab's conversation counts now. */
  yield(): void {
    this.release?.()
    this.lose()
  }

  /** The page is put aside (frozen, or kept for going back): let others lead. */
  pause(): void {
    this.isAway = true
    if (this.isLeader) this.tell({ type: "leaving" })
    this.yield()
  }

  resume(): void {
    if (!this.isAway) return
    this.isAway = false
    if (this.locks === null) this.ask()
    else void this.request(this.locks, false)
  }

  end(): void {
    if (this.isLeader) this.tell({ type: "leaving" })
    this.isOver = true
    if (this.watch !== null) clearInterval(this.watch)
    if (this.unanswered !== null) clearTimeout(this.unanswered)
    this.turn?.abort()
    this.release?.()
    this.isLeader = false
    this.channel?.close()
  }

  private hear(word: Word): void {
    if (this.isOver) return
    switch (word.type) {
      case "who":
        if (this.isLeader) this.tell({ type: "here" })
        return
      case "here":
        if (this.unanswered !== null) clearTimeout(this.unanswered)
        this.unanswered = null
        return
      case "leaving":
        if (this.locks === null) this.ask()
        return
      case "word":
        this.events.heard(word.word)
    }
  }

  /**
   * Hold the lock until somebody takes it or this tab lets go; then stand in line again. A tab
   * stands there once: an earlier request that is granted later would hold the lock for nobody.
   */
  private async request(locks: LockManager, steal: boolean): Promise<void> {
    this.turn?.abort()
    const turn = (this.turn = new AbortController())
    const isDue = () => this.turn === turn && !this.isOver && !this.isAway
    try {
      await locks.request(`${this.name}/leader`, steal ? { steal } : { signal: turn.signal }, () => {
        if (!isDue()) return Promise.resolve()
        return new Promise<void>((resolve) => {
          this.release = resolve
          this.lead()
        })
      })
    } catch {
      // Taken by a visible tab, or this page may not have locks at the moment.
    }
    if (this.turn !== turn) return
    this.release = null
    this.lose()
    if (!isDue()) return
    setTimeout(() => {
      if (isDue()) void this.request(locks, false)
    }, RETRY_MS)
  }

  private lead(): void {
    if (this.isLeader) return
    this.isLeader = true
    this.events.led()
  }

  private lose(): void {
    if (!this.isLeader) return
    this.isLeader = false
    this.events.lost()
  }

  private tell(word: Word): void {
    if (!this.isOver) this.channel?.postMessage(word)
  }
}

function lockManager(): LockManager | null {
  // Absent without TLS, and in older browsers.
  const { locks } = navigator as { readonly locks?: LockManager }
  return locks ?? null
}

function isVisible(): boolean {
  return typeof document === "undefined" || document.visibilityState === "visible"
}
