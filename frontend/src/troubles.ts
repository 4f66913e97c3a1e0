// What went wrong, in words for the person in front of it.


import { hasMessage, t } from "./i18n"
import { notify } from "./notices"
import { Trouble } from "./services/errors"

export function useTroubles() {

  /** The sentence for a code; `message`, or a general one, for codes that only others know. */
  function sentence(code: string, message = ""): string {
    const key = `problem.${code}`
    if (hasMessage(key)) return t(key)
    return message !== "" && message !== code ? message : t("problem.other")
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

  return { sentence, sentenceOf, attempt }
}
