// The entities of a `welcome`, as far as this version understands them.

import type { EntityDescription, FieldDescription, Json } from "./messages"
import { put } from "./record"
import type { Kind } from "./entity"

export type Entities = Readonly<Record<string, EntityDescription>>

const KINDS: readonly string[] = [
  "text",
  "bool",
  "int",
  "decimal",
  "choice",
  "reference",
  "iban",
  "image",
] satisfies readonly Kind[]

/**
 * Read what a server tells of its entities.
 *
 * A newer server may say more, or name kinds that are not known here: such fields are left out
 * (their values are stored and kept, but nobody types them here).
 */
export function entitiesFrom(description: Readonly<Record<string, unknown>>): Entities {
  const entities: Record<string, EntityDescription> = {}
  for (const [name, told] of Object.entries(description)) {
    if (!isRecord(told)) continue
    const fields: Record<string, FieldDescription> = {}
    for (const [field, each] of Object.entries(isRecord(told["fields"]) ? told["fields"] : {})) {
      const spec = fieldFrom(each)
      if (spec !== null) put(fields, field, spec)
    }
    put(entities, name, { readOnly: told["readOnly"] === true, fields })
  }
  return entities
}

function fieldFrom(told: unknown): FieldDescription | null {
  if (!isRecord(told)) return null
  const { kind, required = false, nullable = false, choices = [], target = null } = told
  const limits = ["maxLength", "minimum", "maximum", "digits", "places"] as const
  const numbers = limits.map((limit) => told[limit] ?? null)
  const isUnderstood =
    KINDS.includes(kind as string) &&
    typeof required === "boolean" &&
    typeof nullable === "boolean" &&
    Array.isArray(choices) &&
    choices.every((each) => typeof each === "string") &&
    (target === null || typeof target === "string") &&
    numbers.every((each) => each === null || Number.isSafeInteger(each))
  if (!isUnderstood) return null
  const [maxLength, minimum, maximum, digits, places] = numbers as (number | null)[]
  return {
    kind: kind as Kind,
    required,
    nullable,
    default: (told["default"] ?? null) as Json,
    maxLength: maxLength ?? null,
    choices,
    minimum: minimum ?? null,
    maximum: maximum ?? null,
    digits: digits ?? null,
    places: places ?? null,
    target,
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
