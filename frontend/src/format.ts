// Amounts and times as a language writes them.

import { computed, type ComputedRef } from "vue"
import { type Language, language } from "./i18n"

import { type DecimalStyle, ENGLISH, GERMAN } from "./sync/money"

export interface Format {
  /** A canonical amount in euros; exact, however many digits it has. */
  readonly amount: (amount: string) => string
  readonly time: (ms: number) => string
  readonly day: (ms: number) => string
  /** "14:32" today, "21 Nov, 14:32" on another day. */
  readonly moment: (ms: number) => string
  readonly isToday: (ms: number) => boolean
  readonly decimalStyle: DecimalStyle
}

const formats = new Map<Language, Format>()

export function formatFor(spoken: Language): Format {
  const known = formats.get(spoken)
  if (known !== undefined) return known
  const made = newFormat(spoken)
  formats.set(spoken, made)
  return made
}

function newFormat(spoken: Language): Format {
  const locale = spoken === "de" ? "de-DE" : "en-GB"
  const amounts = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "EUR",
    minimumFractionDigits: 2,
    maximumFractionDigits: 4,
  })
  const times = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" })
  const days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" })
  const isToday = (ms: number) => new Date(ms).toDateString() === new Date().toDateString()
  return {
    // As a string, so that no digit is lost; the minus of typography instead of a hyphen.
    amount: (amount) =>
      amounts.format(amount as Intl.StringNumericLiteral).replace(/^-/, "−"),
    time: (ms) => times.format(ms),
    day: (ms) => days.format(ms),
    moment: (ms) => (isToday(ms) ? times.format(ms) : `${days.format(ms)}, ${times.format(ms)}`),
    isToday,
    decimalStyle: spoken === "de" ? GERMAN : ENGLISH,
  }
}

/** One for all: each of thousands of rows asks for it. */
const format = computed(() => formatFor(language.value))

export function useFormat(): ComputedRef<Format> {
  return format
}

/** "DE89 3704 0044 0532 0130 00", as it is printed. */
export function ibanInGroups(iban: string): string {
  return iban.replace(/(.{4})(?=.)/g, "$1 ")
}
