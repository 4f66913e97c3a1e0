// How far this device's clock is off, for its person. Nothing is refused because of it: what is
// typed is stamped with corrected time (services/data/timekeeping.ts).

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS

/** A clock that is further off is worth a word: the same as on the server's pages. */
export const CLOCK_WORTH_A_WORD_MS = MINUTE_MS

/** By how many of a unit, the greatest that says enough. */
export interface WrongClock {
  readonly isAhead: boolean
  readonly n: number
  readonly unit: "minutes" | "hours" | "days" | "years"
}

/** What is to be said of a clock; null: nothing. offMs: this device's clock minus the server's. */
export function wrongClock(offMs: number): WrongClock | null {
  const ms = Math.abs(offMs)
  if (ms < CLOCK_WORTH_A_WORD_MS) return null
  return { isAhead: offMs > 0, ...inUnits(ms) }
}

function inUnits(ms: number): Pick<WrongClock, "n" | "unit"> {
  // Rounded, because an answer takes its time: an hour is not 59 minutes.
  if (ms < HOUR_MS - MINUTE_MS / 2) return { n: Math.round(ms / MINUTE_MS), unit: "minutes" }
  if (ms < 2 * DAY_MS - HOUR_MS / 2) return { n: Math.round(ms / HOUR_MS), unit: "hours" }
  if (ms < 2 * YEAR_MS) return { n: Math.round(ms / DAY_MS), unit: "days" }
  return { n: Math.round(ms / YEAR_MS), unit: "years" }
}

/** As a helper reads it in the diagnostics. */
export function clockInWords(offMs: number): string {
  const wrong = wrongClock(offMs)
  if (wrong === null) return "right"
  const unit = wrong.n === 1 ? wrong.unit.slice(0, -1) : wrong.unit
  return `${wrong.n.toString()} ${unit} ${wrong.isAhead ? "ahead" : "behind"}`
}
