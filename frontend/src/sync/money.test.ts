import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { ENGLISH, GERMAN, compareAmounts, fromUnits, parseAmount, toUnits } from "./money"

describe("amounts as people type them", () => {
  test.each([
    ["1.234,56", "1234.56", "1234.56"],
    ["1,234.56", "1234.56", "1234.56"],
    ["1.234.567,8", "1234567.8", "1234567.8"],
    ["1 234,56", "1234.56", "1234.56"],
    ["1'234.56", "1234.56", "1234.56"],
    ["12,5", "12.5", "12.5"],
    ["12.5", "12.5", "12.5"],
    ["1.234", "1234", "1.234"],
    ["1,234", "1.234", "1234"],
    ["1.234.567", "1234567", "1234567"],
    ["0,10 €", "0.1", "0.1"],
    ["€ 5", "5", "5"],
    ["-0,00", "0", "0"],
    ["−3,50", "-3.5", "-3.5"],
    ["+7", "7", "7"],
    [",5", "0.5", "0.5"],
    ["5,", "5", "5"],
    ["007", "7", "7"],
    ["1234.5678", "1234.5678", "1234.5678"],
  ])("%s", (typed, german, english) => {
    expect(parseAmount(typed, GERMAN)).toBe(german)
    expect(parseAmount(typed, ENGLISH)).toBe(english)
  })

  test.each(["", "-", ",", ".", "1,2,3", "12.34.56", "1.23,4.5", "1e5", "NaN", "٣", "1.2345,6", "a"])(
    "%s is none",
    (typed) => {
      expect(parseAmount(typed, GERMAN)).toBeNull()
      expect(parseAmount(typed, ENGLISH)).toBeNull()
    },
  )
})

const units = fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n })

describe("amounts", () => {
  test("are added up exactly", () => {
    expect(fromUnits(toUnits("0.1") + toUnits("0.2"))).toBe("0.3")
    expect(fromUnits(toUnits("999999999999999.9999") + toUnits("-0.0001"))).toBe("999999999999999.9998")
    expect(fromUnits(toUnits("many"))).toBe("0")
  })

  test("have one text each", () => {
    fc.assert(fc.property(units, (value) => toUnits(fromUnits(value)) === value))
  })

  test("are ordered as numbers", () => {
    fc.assert(
      fc.property(units, units, (a, b) =>
        Math.sign(compareAmounts(fromUnits(a), fromUnits(b))) === (a < b ? -1 : a > b ? 1 : 0),
      ),
    )
  })

  test("are read as they are written, in both languages", () => {
    fc.assert(
      fc.property(units, (value) => {
        const amount = fromUnits(value)
        const [whole = "", fraction] = amount.split(".")
        const grouped = (mark: string) => whole.replace(/(?<=[0-9])(?=([0-9]{3})+$)/g, mark)
        const german = grouped(".") + (fraction === undefined ? "" : `,${fraction}`)
        const english = grouped(",") + (fraction === undefined ? "" : `.${fraction}`)
        expect(parseAmount(german, GERMAN)).toBe(amount)
        expect(parseAmount(english, ENGLISH)).toBe(amount)
      }),
    )
  })
})
