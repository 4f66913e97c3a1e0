// German and English: the browser's languages decide until a person chooses.

import { createI18n } from "vue-i18n"

import { keep, kept } from "./kept"
import de from "./locales/de.json"
import en from "./locales/en.json"

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

export function createLanguages(language: Language) {
  document.documentElement.lang = language
  return createI18n<[Messages], Language, false>({
    legacy: false,
    locale: language,
    fallbackLocale: "en",
    messages: { de, en },
  })
}

export function keepLanguage(language: Language): void {
  keep("language", language)
  document.documentElement.lang = language
}
