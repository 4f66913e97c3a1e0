// What is wrong with a form, field by field, as the server would say it.

import { canonical } from "./core/entity"
import type { EntityDescription, Json, RefusalCode } from "./core/messages"
import { at } from "./core/record"
import { textLength } from "./core/text"

/**
 * The refusals of these fields, by name; empty if they can be saved.
 *
 * entity: undefined before anything is known of it: then nothing is found wrong, and the server
 * decides. isCreate: also what is missing is a problem.
 */
export function problemsOf(
  entity: EntityDescription | undefined,
  fields: Readonly<Record<string, Json>>,
  isCreate: boolean,
): Readonly<Record<string, RefusalCode>> {
  const problems: Record<string, RefusalCode> = {}
  for (const [name, spec] of Object.entries(entity?.fields ?? {})) {
    const value = at(fields, name)
    if (value !== undefined) {
      const { refused } = canonical(name, spec, value)
      if (refused !== null) problems[name] = refused.code
    } else if (isCreate && spec.required) {
      problems[name] = "required"
    }
  }
  return problems
}

/** How many characters (code points, as the server counts) a text has, and may have. */
export interface TooLong {
  readonly n: number
  readonly limit: number
}

/** By how much a text is too long for its field; null: it is not, or nobody knows the limit. */
export function tooLong(
  entity: EntityDescription | undefined,
  name: string,
  value: Json | undefined,
): TooLong | null {
  const spec = at(entity?.fields ?? {}, name)
  if (spec?.kind !== "text" || spec.maxLength === null || typeof value !== "string") return null
  const n = textLength(value.normalize("NFC"))
  return n > spec.maxLength ? { n, limit: spec.maxLength } : null
}
