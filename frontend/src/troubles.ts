// What went wrong, in words for the person in front of it.

import { hasMessage, t } from "./i18n"
import { notify } from "./notices"
import { Trouble } from "./services/errors"
import { type TooLong, tooLong } from "./sync/problems"
import type { EntityDescription, Json, Problems } from "./types"

export function useTroubles() {
  /**
   * The sentence for a code; `message`, or a general one, for codes that only others know.
   * long: of a text that is too long, if that is known.
   */
  function sentence(code: string, message = "", long: TooLong | null = null): string {
    if (code === "too_long" && long !== null) return t("problem.too_long_by", { ...long })
    const key = `problem.${code}`
    if (hasMessage(key)) return t(key)
    return message !== "" && message !== code ? message : t("problem.other")
  }

  /** The sentence for each field in which something is wrong. fields: what was typed. */
  function sentences(
    problems: Problems,
    entity: EntityDescription | undefined,
    fields: Readonly<Record<string, Json>>,
  ): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(problems).map(([field, code]) => [
        field,
        sentence(code, "", tooLong(entity, field, fields[field])),
      ]),
    )
  }

  function sentenceOf(error: unknown, long: TooLong | null = null): string {
    if (error instanceof Trouble) return sentence(error.code, error.message, long)
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
