// What a synced row may hold: field by field, what is accepted and its canonical form.
//
// Values are canonical *before* they are stamped and compared, the same in Python and
// TypeScript: text in NFC, decimals without trailing zeros, ids lower case, IBANs upper case
// without blanks. `docs/protocol/vectors/values.json` bears it.
//
// A field is described as `welcome` describes it.

import { EXISTS, type Fields } from "./change"
import { type Checked, accepted, refused } from "./errors"
import { isIban } from "./iban"
import { type EntityDescription, type FieldDescription, type Json, ROW_MAX_BYTES } from "./messages"
import { put } from "./record"
import { compareText, jsonLength, textLength } from "./text"

export type Kind = FieldDescription["kind"]

export const INT_MIN = -(2 ** 31)
export const INT_MAX = 2 ** 31 - 1
// No field can have these names, so none of them is one that a newer server knows.
const NEVER_FIELDS = new Set([EXISTS, "*", "id"])
const DIGITS = 15
const PLACES = 4

const DECIMAL = /^(-?)0*([0-9]+)(?:\.([0-9]+))?$/
const DECIMAL_MAX_CHARS = 64 // before anything is computed: 5,000 digits cost nothing
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const IMAGE = /^data:image\/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$/
// Named one by one: what \s means differs between Python and JavaScript.
const IBAN_BLANKS = /[-\t\n\r \u00a0\u2007\u202f]+/g
// What Python's strip() takes away; trim() differs by U+001C to U+001F, U+0085 and U+FEFF.
const BLANK = /^[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/
const LONE_SURROGATE = /[\ud800-\udfff]/u // with "u", a pair is one character

/** The canonical form of `value`, or why it is refused. */
export function canonical(name: string, spec: FieldDescription, value: unknown): Checked<Json> {
  if (value === null) return spec.nullable ? accepted(null) : refused("required", name)
  return CANONICAL[spec.kind](name, spec, value)
}

/** What a change writes, in canonical form, and the names that this description lacks. */
export interface CanonicalFields {
  readonly known: Fields
  readonly unknown: readonly string[]
}

/**
 * Check and normalise what a change writes.
 *
 * For a create the absent fields are filled with their defaults.
 */
export function canonicalFields(
  entity: EntityDescription,
  fields: Fields,
  { isCreate }: { readonly isCreate: boolean },
): Checked<CanonicalFields> {
  const known: Record<string, Json> = {}
  const unknown: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    const spec = Object.hasOwn(entity.fields, name) ? entity.fields[name] : undefined
    if (spec !== undefined) {
      const checked = canonical(name, spec, value)
      if (checked.refused !== null) return checked
      put(known, name, checked.value)
    } else if (NEVER_FIELDS.has(name) || name.startsWith("sync")) {
      return refused("read_only", name)
    } else {
      unknown.push(name)
    }
  }
  if (isCreate) {
    for (const [name, spec] of Object.entries(entity.fields)) {
      if (Object.hasOwn(known, name)) continue
      if (spec.required) return refused("required", name)
      put(known, name, spec.default)
    }
  }
  if (jsonLength(known) > ROW_MAX_BYTES) return refused("row_too_large")
  return accepted({ known, unknown: unknown.sort(compareText) })
}

type Canonical<Value extends Json = Json> = (
  name: string,
  spec: FieldDescription,
  value: unknown,
) => Checked<Value>

const text: Canonical<string> = (name, spec, value) => {
  if (typeof value !== "string") return refused("type", name)
  if (value.includes("\0") || LONE_SURROGATE.test(value)) return refused("text", name)
  const normal = value.normalize("NFC")
  if (spec.maxLength !== null && textLength(normal) > spec.maxLength) {
    return refused("too_long", name)
  }
  return spec.required && BLANK.test(normal) ? refused("required", name) : accepted(normal)
}

const bool: Canonical = (name, _spec, value) =>
  typeof value === "boolean" ? accepted(value) : refused("type", name)

const int: Canonical = (name, spec, value) => {
  if (typeof value !== "number" || !Number.isInteger(value)) return refused("type", name)
  const isWithin = value >= (spec.minimum ?? INT_MIN) && value <= (spec.maximum ?? INT_MAX)
  return isWithin ? accepted(value + 0) : refused("range", name) // -0 + 0 is 0
}

const decimal: Canonical = (name, spec, value) => {
  if (typeof value !== "string" || value.length > DECIMAL_MAX_CHARS) return refused("type", name)
  const match = DECIMAL.exec(value)
  if (match === null) return refused("type", name)
  const [, sign = "", whole = "", digits = ""] = match
  const fraction = digits.replace(/0+$/, "")
  if (whole.length > (spec.digits ?? DIGITS) || fraction.length > (spec.places ?? PLACES)) {
    return refused("digits", name)
  }
  const amount = fraction === "" ? whole : `${whole}.${fraction}`
  return accepted(amount === "0" ? amount : sign + amount)
}

const choice: Canonical = (name, spec, value) => {
  if (typeof value !== "string") return refused("type", name)
  return spec.choices.includes(value) ? accepted(value) : refused("choice", name)
}

const reference: Canonical = (name, _spec, value) =>
  typeof value === "string" && UUID.test(value)
    ? accepted(value.toLowerCase())
    : refused("reference", name)

const iban: Canonical = (name, spec, value) => {
  const bare = typeof value === "string" ? value.replace(IBAN_BLANKS, "").toUpperCase() : value
  const checked = text(name, spec, bare)
  if (checked.refused !== null || checked.value === "") return checked
  return isIban(checked.value) ? checked : refused("iban", name)
}

const image: Canonical = (name, spec, value) => {
  if (typeof value !== "string") return refused("type", name)
  if (spec.maxLength !== null && textLength(value) > spec.maxLength)
    return refused("too_long", name)
  return value === "" || IMAGE.test(value) ? accepted(value) : refused("image", name)
}

const CANONICAL: Readonly<Record<Kind, Canonical>> = {
  text,
  bool,
  int,
  decimal,
  choice,
  reference,
  iban,
  image,
}
