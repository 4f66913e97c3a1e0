import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import {
  COUNTER_MAX,
  type Clock,
  MS_MAX,
  NO_STAMP,
  SERVER_NODE,
  isStamp,
  msOf,
  newest,
  nextStamp,
  nodeOf,
  observe,
  stampToText,
  textToStamp,
  tick,
} from "./clock"
import { anyNode, clockTimes, stampTexts, stamps } from "./testing/arbitraries"
import { cases, title } from "./testing/vectors"

const NODE = "00000000000000aa"
const NOW = 1_700_000_000_000

describe("vectors", () => {
  interface Parts {
    readonly text: string
    readonly ms: number
    readonly counter: number
    readonly node: string
  }
  test.each(cases<Parts>("stamps", "stamps"))("$text is its parts", ({ text, ...stamp }) => {
    expect(textToStamp(text)).toEqual(stamp)
    expect(stampToText(stamp)).toBe(text)
  })

  test("stamps sort as text and by their parts", () => {
    const ordered = cases<string>("stamps", "ordered")
    expect([...new Set(ordered)].sort()).toEqual(ordered)
    const byParts = [...ordered].reverse().sort((a, b) => {
      const [x, y] = [textToStamp(a), textToStamp(b)]
      return x.ms - y.ms || x.counter - y.counter || (x.node < y.node ? -1 : 1)
    })
    expect(byParts).toEqual(ordered)
  })

  for (const each of cases<{ value: unknown; why: string }>("stamps", "malformed")) {
    test(`not a stamp: ${title(each)} (D09)`, () => {
      expect(isStamp(each.value)).toBe(false)
      expect(() => textToStamp(each.value)).toThrow("not a stamp")
    })
  }

  interface Next {
    readonly why: string
    readonly after: string
    readonly nowMs: number
    readonly node: string
    readonly stamp: string
  }
  for (const each of cases<Next>("stamps", "next")) {
    test(`next: ${title(each)}`, () => {
      expect(nextStamp(each.after, each.nowMs, each.node)).toBe(each.stamp)
    })
  }

  for (const each of cases<Next & Clock & { heard: string[] }>("stamps", "clock")) {
    test(`clock: ${title(each)}`, () => {
      const clock = observe({ node: each.node, last: each.last }, each.heard)
      expect(tick(clock, each.nowMs, each.after).last).toBe(each.stamp)
    })
  }
})

describe("a stamp", () => {
  test("is read back from its text", () => {
    fc.assert(
      fc.property(stamps, (stamp) => {
        const text = stampToText(stamp)
        expect(textToStamp(text)).toEqual(stamp)
        expect([msOf(text), nodeOf(text), text.length]).toEqual([stamp.ms, stamp.node, 34])
      }),
    )
  })

  test("has a total order, which is that of its text: D03", () => {
    fc.assert(
      fc.property(stampTexts, stampTexts, stampTexts, (a, b, c) => {
        expect([a < b, b < a, a === b].filter(Boolean)).toHaveLength(1)
        if (a <= b && b <= c) expect(a <= c).toBe(true)
        const [x, y] = [textToStamp(a), textToStamp(b)]
        const byParts = x.ms - y.ms || x.counter - y.counter || (x.node < y.node ? -1 : 1)
        if (a !== b) expect(a < b).toBe(byParts < 0)
      }),
    )
  })

  test("is later than no stamp", () => {
    fc.assert(
      fc.property(stampTexts, (stamp) => {
        expect(stamp > NO_STAMP).toBe(true)
      }),
    )
    expect(isStamp(NO_STAMP)).toBe(false)
    expect(newest([])).toBe(NO_STAMP)
  })

  test("of the server sorts before every device's of the same moment", () => {
    const [server, device] = [SERVER_NODE, NODE].map((node) => nextStamp(NO_STAMP, NOW, node))
    expect(server).toBeDefined()
    expect(String(server) < String(device)).toBe(true)
  })
})

describe("a clock", () => {
  test("gives stamps that are later and not before now, whatever time it is told", () => {
    fc.assert(
      fc.property(stampTexts, clockTimes, anyNode, (after, nowMs, node) => {
        const stamp = nextStamp(after, nowMs, node)
        expect(isStamp(stamp)).toBe(true)
        expect(nodeOf(stamp)).toBe(node)
        const { ms, counter } = textToStamp(after)
        if (ms < MS_MAX || counter < COUNTER_MAX) expect(stamp > after).toBe(true)
        if (nowMs > 0)
          expect(msOf(stamp)).toBeGreaterThanOrEqual(Math.min(Math.floor(nowMs), MS_MAX))
      }),
    )
  })

  test("never fails, however long it stands still: D10", () => {
    let clock: Clock = {
      node: NODE,
      last: stampToText({ ms: NOW, counter: COUNTER_MAX - 1, node: NODE }),
    }
    for (let n = 0; n < COUNTER_MAX + 4; n++) {
      const before = clock.last
      clock = tick(clock, NOW)
      if (clock.last <= before) expect.fail(`${clock.last} is not later than ${before}`)
    }
    expect(textToStamp(clock.last)).toEqual({ ms: NOW + 2, counter: 1, node: NODE })
  })

  test("hears a batch and moves once, to its maximum", () => {
    fc.assert(
      fc.property(fc.array(stampTexts, { maxLength: 8 }), stampTexts, (heard, last) => {
        const clock = observe({ node: NODE, last }, heard)
        expect(clock.last).toBe([last, ...heard].sort().at(-1))
      }),
    )
  })

  test("never gives the same stamp twice and never goes back: D06", () => {
    const moments = fc.array(fc.tuple(clockTimes, stampTexts), { maxLength: 8 })
    fc.assert(
      fc.property(moments, (moments) => {
        let clock: Clock = { node: NODE, last: NO_STAMP }
        for (const [nowMs, heard] of moments) {
          if (msOf(heard) === MS_MAX) continue // there is nothing later than the end of time
          clock = observe(clock, [heard])
          const before = clock.last
          clock = tick(clock, Math.min(nowMs, MS_MAX - 1))
          expect(clock.last > before).toBe(true)
        }
      }),
    )
  })

  test.each([-10, -1, 0, 1, 10])("%i years off stamps an edit later than its row", (years) => {
    const row = stampToText({ ms: NOW, counter: 7, node: "00000000000000bb" })
    const wrongMs = NOW + years * 365 * 24 * 3600 * 1000
    expect(tick({ node: NODE, last: NO_STAMP }, wrongMs, row).last > row).toBe(true)
  })
})
