// Exact amounts. An amount is a canonical decimal string, as it travels; it is added up in whole
// units of its smallest place, never as a float.

const PLACES = 4
const AMOUNT = /^(-?)([0-9]+)(?:\.([0-9]{1,4}))?$/

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareAmounts(a: string, b: string): number {
  const difference = toUnits(a) - toUnits(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** In ten-thousandths; what is no canonical amount counts as nothing. */
export function toUnits(amount: string): bigint {
  const match = AMOUNT.exec(amount)
  if (match === null) return 0n
  const [, sign = "", whole = "", fraction = ""] = match
  const units = BigInt(whole + fraction.padEnd(PLACES, "0"))
  return sign === "-" ? -units : units
}

export function fromUnits(units: bigint): string {
  const sign = units < 0n ? "-" : ""
  const digits = (units < 0n ? -units : units).toString().padStart(PLACES + 1, "0")
  const fraction = digits.slice(-PLACES).replace(/0+$/, "")
  const whole = digits.slice(0, -PLACES)
  return sign + (fraction === "" ? whole : `${whole}.${fraction}`)
}

/** How a language writes decimals. */
export interface DecimalStyle {
  readonly point: "," | "."
  readonly group: "." | "," | "'" | " "
}

export const GERMAN: DecimalStyle = { point: ",", group: "." }
export const ENGLISH: DecimalStyle = { point: ".", group: "," }

const BLANKS = /[\s\u00a0\u2007\u202f'’]/g
const CURRENCY = /^(?:€|EUR)|(?:€|EUR)$/i

/**
 * The canonical amount that a person has typed, or null if it is none.
 *
 * Both ways of writing are read: "1.234,56" and "1,234.56" are the same to everybody. Where a
 * text could mean either ("1.234"), `style` decides. Groups must have three digits, so a slip
 * is not read as a thousand times as much.
 */
export function parseAmount(typed: string, style: DecimalStyle): string | null {
  const bare = typed.replace(BLANKS, "").replace(CURRENCY, "").replace(/[−–]/g, "-")
  const match = /^([+-]?)([0-9.,]*)$/.exec(bare)
  if (match === null) return null
  const [, sign = "", digits = ""] = match
  const parts = partsOf(digits, style)
  if (parts === null) return null
  const whole = parts.whole.replace(/^0+(?=.)/, "") || "0"
  const fraction = parts.fraction.replace(/0+$/, "")
  const amount = fraction === "" ? whole : `${whole}.${fraction}`
  return amount === "0" ? amount : (sign === "-" ? "-" : "") + amount
}

interface Parts {
  readonly whole: string
  readonly fraction: string
}

function partsOf(digits: string, style: DecimalStyle): Parts | null {
  const last = Math.max(digits.lastIndexOf("."), digits.lastIndexOf(","))
  if (last === -1) return digits === "" ? null : { whole: digits, fraction: "" }
  const mark = digits.charAt(last)
  const isOnlyMark = !digits.includes(mark === "." ? "," : ".")
  const isRepeated = digits.indexOf(mark) !== last
  // The only kind of mark, where it may group: the language says what it means.
  const isGroup = isOnlyMark && (isRepeated || (mark === style.group && isGrouped(digits, mark)))
  const point = isGroup ? digits.length : last
  const head = digits.slice(0, point)
  const fraction = digits.slice(point + 1)
  if (!isGrouped(head, mark === "." && !isGroup ? "," : isGroup ? mark : ".")) return null
  const whole = head.replace(/[.,]/g, "")
  return whole === "" && fraction === "" ? null : { whole, fraction }
}

/** Digits in which `mark` stands before every three, or nowhere. */
function isGrouped(digits: string, mark: string): boolean {
  const [first = "", ...groups] = digits.split(mark)
  return (
    /^[0-9]*$/.test(first) &&
    groups.every((group) => /^[0-9]{3}$/.test(group)) &&
    (groups.length === 0 || (first.length >= 1 && first.length <= 3))
  )
}

/** A canonical amount as a person types it, to be put into a form: no groups, no currency. */
export function toTyped(amount: string, style: DecimalStyle): string {
  return amount.replace(".", style.point)
}
