// Not more frames than a server takes from one socket.

import { FRAMES_BURST, FRAMES_PER_SECOND } from "../../sync/core/messages"

// A little below the limits: the server measures on its own clock.
const PER_MS = (FRAMES_PER_SECOND * 0.9) / 1000
const BURST = FRAMES_BURST * 0.75

/** A bucket of tokens, one for each frame. nowMs: monotonic. */
export class Pacer {
  private tokens = BURST

  constructor(private atMs: number) {}

  /** Take a token; how many milliseconds to wait before the frame may be sent. */
  waitMs(nowMs: number): number {
    this.tokens = Math.min(BURST, this.tokens + (nowMs - this.atMs) * PER_MS) - 1
    this.atMs = nowMs
    return Math.max(-this.tokens / PER_MS, 0)
  }
}
