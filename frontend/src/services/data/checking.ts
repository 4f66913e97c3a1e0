// What a person may queue: names, values and sizes, as the server has it. Throws Trouble.

import type { Fields } from "../../sync/core/change"
import type { Entities } from "../../sync/core/entities"
import { canonicalFields } from "../../sync/core/entity"
import { ROW_MAX_BYTES } from "../../sync/core/messages"
import { at } from "../../sync/core/record"
import { jsonLength } from "../../sync/core/text"
import { Trouble } from "../errors"

/** Canonical values, completed with defaults for a create. */
export function checked(
  entities: Entities,
  name: string,
  fields: Fields,
  { isCreate }: { readonly isCreate: boolean },
): Fields {
  const entity = at(entities, name)
  if (entity === undefined) throw new Trouble("unknown", "", `No household keeps ${name}.`)
  if (entity.readOnly) throw new Trouble("read_only", "", "The server alone writes these rows.")
  const found = canonicalFields(entity, fields, { isCreate })
  if (found.refused !== null) {
    throw new Trouble(found.refused.code, found.refused.field ?? "")
  }
  const [unknown] = found.value.unknown
  if (unknown !== undefined) throw new Trouble("unknown", unknown)
  return found.value.known
}

/** The limit of a whole row, checked before it is queued. */
export function checkSize(fields: Fields, rowBytes: number = ROW_MAX_BYTES): void {
  if (jsonLength(fields) > rowBytes) throw new Trouble("row_too_large")
}
