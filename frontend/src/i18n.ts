// German and English: the browser's languages decide until a person chooses.
//
// A message is text with {names} in it; where it counts something it has two forms, "one | many".
// That is all that these two languages ask for, and it needs no compiler: the policy of the site
// forbids `eval`.

import { readonly, ref, shallowRef } from "vue"

import { keep, kept } from "./kept"
import type de from "./locales/de.json"

export const LANGUAGES = ["de", "en"] as const
export type Language = (typeof LANGUAGES)[number]
export type Messages = typeof de

type KeysOf<Part, Before extends string = ""> = {
  [Name in keyof Part & string]: Part[Name] extends string
    ? `${Before}${Name}`
    : KeysOf<Part[Name], `${Before}${Name}.`>
}[keyof Part & string]
export type MessageKey = KeysOf<Messages>

type Values = Readonly<Record<string, string | number>>

const LOAD: Readonly<Record<Language, () => Promise<{ readonly default: Messages }>>> = {
  de: () => import("./locales/de.json"),
  en: () => import("./locales/en.json"),
}

const chosen = ref<Language>("de")
const messages = shallowRef<Messages | null>(null)

export const language = readonly(chosen)

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.some((each) => each === value)
}

/** The first of the browser's languages that we speak; English if there is none. */
export function preferredLanguage(): Language {
  const remembered = kept("language")
  if (isLanguage(remembered)) return remembered
  const spoken = navigator.languages.map((each) => each.slice(0, 2).toLowerCase())
  return spoken.find(isLanguage) ?? "en"
}

/** Speak a language from now on. Await it once before anything is shown. */
export async function speak(wanted: Language): Promise<void> {
  const loaded = await LOAD[wanted]()
  messages.value = loaded.default
  chosen.value = wanted
  document.documentElement.lang = wanted
}

/** As `speak`, and the next time, too. */
export async function chooseLanguage(wanted: Language): Promise<void> {
  await speak(wanted)
  keep("language", wanted)
}

export function hasMessage(key: string): key is MessageKey {
  return messageAt(key) !== null
}

/** The message with its {names} filled in; count decides between its forms. */
export function t(key: MessageKey, values: Values = {}, count?: number): string {
  const message = messageAt(key)
  if (message === null) return key
  const forms = message.split(" | ")
  const form = (count === 1 ? forms[0] : forms.at(-1)) ?? message
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

function messageAt(key: string): string | null {
  let part: unknown = messages.value
  for (const name of key.split(".")) {
    if (typeof part !== "object" || part === null || !Object.hasOwn(part, name)) return null
    part = (part as Readonly<Record<string, unknown>>)[name]
  }
  return typeof part === "string" ? part : null
}
