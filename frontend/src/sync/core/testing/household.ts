// A household's server as the tests of a device need it: the decisions, and nothing else.

import { EXISTS, type Fields, type Row, writtenBy } from "../change"
import { SERVER_NODE } from "../clock"
import { decide } from "../merge"
import type { Change } from "../messages"

/** What a push comes to. */
export interface Outcome {
  readonly row: Row | null
  readonly refused: readonly string[]
  /** Values of somebody else, other than existence, that were overruled unseen. */
  readonly overruled: readonly string[]
}

/** Let a server that holds this row take the changes of a device to it. */
export function takeChanges(
  stored: Row | null,
  changes: readonly Change[],
  node: string,
  defaults: Fields,
): Outcome {
  let row = stored
  const refused: string[] = []
  const overruled = new Set<string>()
  const own = new Set([node])
  for (const { entity, id, kind, stamp, fields = {}, seen = {} } of changes) {
    if (row === null && kind === "edit") {
      refused.push("row_missing")
      continue
    }
    const isNew = row === null && kind === "create"
    const written = writtenBy(kind, isNew ? { ...defaults, ...fields } : fields)
    const decision = decide(row, entity, id, written, stamp, seen, own)
    row = decision.row
    for (const { field, losingStamp } of decision.overruled) {
      // Existence has two values only: an intermediate entry that repeats the other's takes it
      // over silently.
      const isTheirs = !losingStamp.endsWith(node) && !losingStamp.endsWith(SERVER_NODE)
      if (isTheirs && field !== EXISTS) overruled.add(`${field} ${losingStamp}`)
    }
  }
  return { row, refused, overruled: [...overruled].sort() }
}
