// The server is the referee of time: how far this device's clock is off.

const SAMPLES_MAX = 9
// A sample that differs by more than its own uncertainty and this was taken on another clock.
const STEP_MS = 1_000
// No answer is waited for as long: what seems to have taken longer is a clock that was set.
const ROUND_TRIP_MAX_MS = 60_000

/**
 * The recent samples of (server's clock minus ours), with that of one round trip.
 *
 * serverMs: what the server said; sentMs, receivedMs: our wall clock around it. When our clock
 * was set meanwhile, what was measured before says nothing any more.
 */
export function addSample(
  samples: readonly number[],
  serverMs: number,
  sentMs: number,
  receivedMs: number,
): readonly number[] {
  const roundTripMs = receivedMs - sentMs
  if (roundTripMs < 0 || roundTripMs > ROUND_TRIP_MAX_MS) {
    // Our clock was set during the round trip; only what it shows now counts. Keeping the old
    // samples would bring what was typed before down to the time of the new clock.
    return [serverMs - receivedMs]
  }
  const half = Math.floor(roundTripMs / 2)
  const sample = serverMs + half - receivedMs
  if (samples.length > 0 && Math.abs(sample - offsetOf(samples)) > half + STEP_MS) return [sample]
  return [...samples, sample].slice(-SAMPLES_MAX)
}

/** The median: one slow round trip does not count. */
export function offsetOf(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] ?? 0
}
