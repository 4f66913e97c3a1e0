// Chance and time for tests: all of it drawn from a seed.

import type { World } from "../data/world"

/** Random numbers, 0 <= n < 1, the same for the same seed (mulberry32). */
export function chanceOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A machine whose clock is `skewMs` off. */
export function worldOf(chance: () => number, nowMs: () => number, skewMs = 0): World {
  return {
    wallMs: () => nowMs() + skewMs,
    chance,
    token: (bytes) =>
      Array.from({ length: bytes * 2 }, () => Math.floor(chance() * 16).toString(16)).join(""),
  }
}
