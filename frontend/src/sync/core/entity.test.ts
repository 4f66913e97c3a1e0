import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { EXISTS, type Fields } from "./change"
import { canonical, canonicalFields } from "./entity"
import { isRefusalCode } from "./errors"
import { isIban } from "./iban"
import { type EntityDescription, type FieldDescription, type Json, ROW_MAX_BYTES } from "./messages"
import { cases, title, vectors } from "./testing/vectors"

interface KindCase {
  readonly name: string
  readonly field: FieldDescription
  readonly accepted: readonly { readonly value: unknown; readonly canonical: Json }[]
  readonly refused: readonly { readonly value: unknown; readonly code: string }[]
}

const KINDS = cases<KindCase>("values", "kinds")
// What devices would answer differently in JavaScript than in Python, if nobody had looked.
const MORE_KINDS = cases<KindCase>("fields", "kinds")

const ACCOUNT: EntityDescription = {
  readOnly: false,
  fields: {
    name: field("text", { required: true, maxLength: 120 }),
    note: field("text", { default: "", maxLength: 300_000 }),
    balance: field("decimal", { default: "0", digits: 15, places: 4 }),
    groupId: field("reference", { nullable: true }),
  },
}

function field(
  kind: FieldDescription["kind"],
  more: Partial<FieldDescription> = {},
): FieldDescription {
  return {
    kind,
    required: false,
    nullable: false,
    default: null,
    maxLength: null,
    choices: [],
    minimum: null,
    maximum: null,
    digits: null,
    places: null,
    target: null,
    ...more,
  }
}

describe.each([...KINDS, ...MORE_KINDS])("vectors: $name", ({ name, field, accepted, refused }) => {
  for (const each of accepted) {
    test(`accepts ${label(each.value)}`, () => {
      const checked = canonical(name, field, each.value)
      expect(checked).toStrictEqual({ refused: null, value: each.canonical })
      expect(canonical(name, field, each.canonical)).toStrictEqual(checked)
    })
  }
  for (const each of refused) {
    test(`refuses ${label(each.value)} (${each.code})`, () => {
      expect(canonical(name, field, each.value)).toEqual({
        refused: { code: each.code, field: name },
      })
      expect(isRefusalCode(each.code)).toBe(true)
    })
  }
})

describe("vectors: what a change writes", () => {
  const entities = vectors("values")["entities"] as Readonly<Record<string, EntityDescription>>
  interface Write {
    readonly why: string
    readonly entity: string
    readonly create: boolean
    readonly fields: Fields
    readonly canonical?: Fields
    readonly unknown?: readonly string[]
    readonly refused?: { readonly code: string; readonly field: string }
  }
  for (const each of cases<Write>("values", "writes")) {
    test(title(each), () => {
      const entity = entities[each.entity]
      if (entity === undefined) throw new Error(`no entity ${each.entity}`)
      const found = canonicalFields(entity, each.fields, { isCreate: each.create })
      if (each.refused === undefined) {
        expect(found).toEqual({
          refused: null,
          value: { known: each.canonical, unknown: each.unknown },
        })
      } else {
        const { code, field } = each.refused
        expect(found).toEqual({ refused: { code, field: field === "" ? null : field } })
      }
    })
  }
})

describe("a value", () => {
  const kinds = [
    field("text", { maxLength: 5 }),
    field("bool"),
    field("int", { minimum: -10, maximum: 10 }),
    field("decimal"),
    field("choice", { choices: ["giro", "bar"] }),
    field("reference"),
    field("iban", { maxLength: 34 }),
    field("image", { maxLength: 100 }),
  ]
  // Text that is likely to be accepted by one kind or another, or just not.
  const likely = fc.oneof(
    fc.jsonValue(),
    fc.anything(),
    fc.stringMatching(/^-?[0-9]{0,5}\.?[0-9]{0,5}$/),
    fc.constantFrom("giro", "", "de89 3704 0044 0532 0130 00", "a\u0301".repeat(5), "\ud800", "-0"),
    fc.uuid().map((id) => id.toUpperCase()),
    fc.string({ unit: "binary", maxLength: 8 }),
  )

  test("becomes canonical, and stays so, or is refused with a known code", () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), likely, (spec, value) => {
        const checked = canonical("f", spec, value)
        if (checked.refused !== null) {
          expect(isRefusalCode(checked.refused.code)).toBe(true)
          expect(checked.refused.field).toBe("f")
        } else {
          expect(canonical("f", spec, checked.value)).toStrictEqual(checked)
        }
      }),
    )
  })

  test("that is an amount has one text", () => {
    const amounts = fc.tuple(fc.boolean(), fc.nat(999_999), fc.nat(9999), fc.nat(3), fc.nat(3))
    fc.assert(
      fc.property(amounts, ([isNegative, whole, places, zerosBefore, zerosAfter]) => {
        const sign = isNegative ? "-" : ""
        const digits = String(places).padStart(4, "0")
        const plain = `${sign}${whole}.${digits}`
        const padded = `${sign}${"0".repeat(zerosBefore)}${whole}.${digits}${"0".repeat(zerosAfter)}`
        const checked = canonical("f", field("decimal"), padded)
        expect(checked).toEqual(canonical("f", field("decimal"), plain))
        const text = checked.refused === null ? checked.value : null
        expect(text).toMatch(/^(0|-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?)$/)
        expect(Math.round(Number(text) * 10_000)).toBe(Math.round(Number(plain) * 10_000) + 0)
      }),
    )
  })

  test("that is zero is one zero", () => {
    const checked = canonical("f", field("int"), -0)
    expect(checked).toStrictEqual({ refused: null, value: 0 })
  })

  test("of text is kept in one normal form, counted in characters", () => {
    const spec = field("text", { maxLength: 5 })
    expect(canonical("f", spec, "u\u0308".repeat(5))).toEqual({
      refused: null,
      value: "ü".repeat(5),
    })
    expect(canonical("f", spec, "😀".repeat(5)).refused).toBeNull()
    expect(canonical("f", spec, "😀".repeat(6)).refused).toEqual({ code: "too_long", field: "f" })
  })
})

describe("an IBAN", () => {
  test("with one digit changed is none", () => {
    const digits = fc.integer({ min: 2, max: 21 })
    fc.assert(
      fc.property(digits, fc.nat(9), (place, digit) => {
        const iban = "DE89370400440532013000"
        const typo = iban.slice(0, place) + String(digit) + iban.slice(place + 1)
        expect(isIban(typo)).toBe(typo === iban)
      }),
    )
  })
})

describe("a new row", () => {
  test("is completed with defaults, and needs what is required", () => {
    expect(canonicalFields(ACCOUNT, { name: "Giro" }, { isCreate: true })).toEqual({
      refused: null,
      value: { known: { name: "Giro", note: "", balance: "0", groupId: null }, unknown: [] },
    })
    expect(canonicalFields(ACCOUNT, { note: "x" }, { isCreate: true })).toEqual({
      refused: { code: "required", field: "name" },
    })
  })

  test("has a limit in bytes", () => {
    const fits = "x".repeat(ROW_MAX_BYTES - '{"note":""}'.length)
    expect(canonicalFields(ACCOUNT, { note: fits }, { isCreate: false }).refused).toBeNull()
    expect(canonicalFields(ACCOUNT, { note: `${fits}x` }, { isCreate: false })).toEqual({
      refused: { code: "row_too_large", field: null },
    })
  })

  test("takes names that every record has by itself as names that nobody knows", () => {
    const fields = JSON.parse('{"constructor": 1, "__proto__": 2, "colour": 3}') as Fields
    const found = canonicalFields(ACCOUNT, fields, { isCreate: false })
    expect(found).toEqual({
      refused: null,
      value: { known: {}, unknown: ["__proto__", "colour", "constructor"] },
    })
  })

  test.each([EXISTS, "syncSeq", "sync_stamps"])("does not write %s", (name) => {
    expect(canonicalFields(ACCOUNT, { [name]: true }, { isCreate: false })).toEqual({
      refused: { code: "read_only", field: name },
    })
  })
})

function label(value: unknown): string {
  const text = JSON.stringify(value)
  return text
    .replace(/[^\x20-\x7e]/g, (each) => `\\u${each.charCodeAt(0).toString(16)}`)
    .slice(0, 50)
}
