import { expect, test } from "vitest"

import { CLOCK_WORTH_A_WORD_MS, clockInWords, wrongClock } from "./wrongClock"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

test("a clock that is off by less than a minute is not worth a word: D07", () => {
  expect(wrongClock(0)).toBeNull()
  expect(wrongClock(CLOCK_WORTH_A_WORD_MS - 1)).toBeNull()
  expect(wrongClock(1 - CLOCK_WORTH_A_WORD_MS)).toBeNull()
})

test.each([
  [MINUTE_MS, "1 minute ahead"],
  [-5 * MINUTE_MS, "5 minutes behind"],
  [HOUR_MS, "1 hour ahead"],
  [HOUR_MS - 200, "1 hour ahead"], // measured over a slow network
  [-HOUR_MS + 200, "1 hour behind"],
  [47 * HOUR_MS, "47 hours ahead"],
  [-2 * DAY_MS, "2 days behind"],
  [3653 * DAY_MS, "10 years ahead"],
])("%i ms is %s", (offMs, words) => {
  expect(clockInWords(offMs)).toBe(words)
})

test("no clock is off by sixty minutes, nor by zero of anything", () => {
  for (let offMs = MINUTE_MS; offMs < 800 * DAY_MS; offMs = Math.ceil(offMs * 1.01)) {
    const wrong = wrongClock(offMs)
    expect(wrong?.n).toBeGreaterThan(0)
    expect(`${String(wrong?.n)} ${String(wrong?.unit)}`).not.toBe("60 minutes")
  }
})
