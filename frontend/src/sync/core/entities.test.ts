import { describe, expect, test } from "vitest"

import { entitiesFrom } from "./entities"
import { canonical } from "./entity"
import type { DownFrame } from "./messages"
import { cases } from "./testing/vectors"

const TEXT = { kind: "text", required: true, nullable: false, default: null, maxLength: 120 }
const NO_LIMITS = { minimum: null, maximum: null, digits: null, places: null, target: null }

describe("the entities of a welcome", () => {
  test("are what every server of the vectors tells", () => {
    const frames = cases<{ frame: DownFrame }>("frames", "down").map(({ frame }) => frame)
    const welcomes = frames.filter((frame) => frame.type === "welcome")
    expect(welcomes).not.toHaveLength(0)
    for (const { entities } of welcomes) expect(entitiesFrom(entities)).toEqual(entities)
  })

  test("of a newer server are understood as far as they are known", () => {
    const told = {
      payee: {
        readOnly: true,
        mood: "good",
        fields: {
          name: { ...TEXT, mood: "good" },
          place: { ...TEXT, kind: "map" },
          broken: { ...TEXT, maxLength: "long" },
          odd: null,
        },
      },
      strange: 7,
    }
    expect(entitiesFrom(told)).toEqual({
      payee: { readOnly: true, fields: { name: { ...TEXT, choices: [], ...NO_LIMITS } } },
    })
  })

  test("say enough to check a value, even where the server says the least", () => {
    const amount = entitiesFrom({ payee: { fields: { amount: { kind: "decimal" } } } })["payee"]
    const spec = amount?.fields["amount"]
    if (spec === undefined) throw new Error("no such field")
    expect(canonical("amount", spec, "1.50")).toEqual({ refused: null, value: "1.5" })
    expect(canonical("amount", spec, "1.23456").refused?.code).toBe("digits")
  })
})
