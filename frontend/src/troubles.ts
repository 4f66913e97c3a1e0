// What went wrong, in words for the person in front of it.

import { hasMessage, t } from "./i18n"
import { notify } from "./notices"
import { Trouble } from "./services/errors"
import type { Problems } from "./types"

export function useTroubles() {
  /** The sentence for a code; `message`, or a general one, for codes that only others know. */
  function sentence(code: string, message = ""): string {
    const key = `problem.${code}`
    if (hasMessage(key)) return t(key)
    return message !== "" && message !== code ? message : t("problem.other")
  }

  /** The sentence for each field in which something is wrong. */
  function sentences(problems: Problems): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(problems).map(([field, code]) => [field, sentence(code)]),
    )
  }

  function sentenceOf(error: unknown): string {
    if (error instanceof Trouble) return sentence(error.code, error.message)
    console.error(error)
    return t("problem.other")
  }

  /** Do it, or tell why it could not be done. Whether it was done. */
  async function attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      notify(sentenceOf(error), { tone: "trouble" })
      return false
    }
  }

  return { sentence, sentences, sentenceOf, attempt }
}
