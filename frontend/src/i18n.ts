// German and English: the browser's languages decide until a person chooses.

import { createI18n } from "vue-i18n"

import { keep, kept } from "./kept"
import type de from "./locales/de.json"

export const LANGUAGES = ["de", "en"] as const
export type Language = (typeof LANGUAGES)[number]
export type Messages = typeof de

declare module "vue-i18n" {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  export interface DefineLocaleMessage extends Messages {}
}

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.some((each) => each === value)
}

/** The first of the browser's languages that we speak; English if there is none. */
export function preferredLanguage(): Language {
  const chosen = kept("language")
  if (isLanguage(chosen)) return chosen
  const spoken = navigator.languages.map((each) => each.slice(0, 2).toLowerCase())
  return spoken.find(isLanguage) ?? "en"
}

const LOAD: Readonly<Record<Language, () => Promise<{ readonly default: Messages }>>> = {
  de: () => import("./locales/de.json"),
  en: () => import("./locales/en.json"),
}

/** The i18n plugin with one language; the other one is loaded when somebody chooses it. */
export async function createLanguages(language: Language) {
  const messages = { [language]: (await LOAD[language]()).default }
  document.documentElement.lang = language
  return createI18n<[Messages], Language, false>({
    legacy: false,
    locale: language,
    fallbackLocale: language,
    messages,
  } as never)
}

/** What `useI18n` gives, as far as it is needed here. */
interface Speaker {
  readonly availableLocales: readonly string[]
  readonly locale: { value: string }
  setLocaleMessage(language: Language, messages: Messages): void
}

/** Speak another language from now on. */
export async function speak(global: Speaker, language: Language): Promise<void> {
  if (!global.availableLocales.includes(language)) {
    global.setLocaleMessage(language, (await LOAD[language]()).default)
  }
  global.locale.value = language
  keep("language", language)
  document.documentElement.lang = language
}
