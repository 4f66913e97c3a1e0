import { expect, test } from "vitest"

import { formatFor, ibanInGroups } from "./format"

const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ")

test("amounts keep every digit", () => {
  const amount = "123456789012345.6789"
  expect(plain(formatFor("de").amount(amount))).toBe("123.456.789.012.345,6789 €")
  expect(plain(formatFor("en").amount(amount))).toBe("€123,456,789,012,345.6789")
})

test("amounts have cents, and a real minus", () => {
  expect(plain(formatFor("de").amount("-5"))).toBe("−5,00 €")
  expect(plain(formatFor("en").amount("-5"))).toBe("−€5.00")
})

test("an IBAN reads in groups of four", () => {
  expect(ibanInGroups("DE89370400440532013000")).toBe("DE89 3704 0044 0532 0130 00")
})
