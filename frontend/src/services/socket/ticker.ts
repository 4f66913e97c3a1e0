// A monotonic clock that also moves while the machine sleeps.
//
// The page's own (`performance.now`) may stand still during sleep, so that what was heard before
// would seem fresh afterwards; the wall clock may be set back. This one follows the page's clock,
// and leaps with the wall clock where that has gone further.

const LEAP_MS = 5_000

export interface Clocks {
  readonly pageMs: () => number
  readonly wallMs: () => number
}

const CLOCKS: Clocks = { pageMs: () => performance.now(), wallMs: () => Date.now() }

/** A function that tells monotonic milliseconds. */
export function newTicker({ pageMs, wallMs }: Clocks = CLOCKS): () => number {
  let [page, wall] = [pageMs(), wallMs()]
  let now = page
  return () => {
    const [nextPage, nextWall] = [pageMs(), wallMs()]
    const [paged, walled] = [Math.max(nextPage - page, 0), nextWall - wall]
    now += walled > paged + LEAP_MS ? walled : paged
    ;[page, wall] = [nextPage, nextWall]
    return now
  }
}
