// Who this device is, and what happens when somebody else turns out to be it, too.

import { nodeOf } from "../../sync/core/clock"
import { inChunks } from "./database"
import { type Ground, type Writing, write } from "./ground"
import { newId, newNode } from "./world"

const FORMER_NODES_MAX = 32 // what a hello may carry

/**
 * This database is a copy of another device's, or was restored: become a device of its own.
 *
 * What is open keeps its stamps, loses its numbers, and gets new ones at sending.
 */
export async function takeNewIdentity({ world }: Ground, writing: Writing): Promise<void> {
  const { db, meta } = writing
  const needed = new Set<string>()
  for await (const entries of inChunks(db.outbox, (entry) => entry.local)) {
    for (const entry of entries) needed.add(nodeOf(entry.stamp))
    await db.outbox.bulkPut(
      entries.filter((entry) => entry.number !== null).map((entry) => ({ ...entry, number: null })),
    )
  }
  // A hello carries 32; those that stamps of open entries name must be among them.
  const former = meta.formerNodes.filter((node) => node !== meta.node)
  const sorted = [
    ...former.filter((node) => !needed.has(node)),
    ...former.filter((node) => needed.has(node)),
  ]
  meta.formerNodes = [...sorted, meta.node].slice(-FORMER_NODES_MAX)
  meta.device = newId(world)
  meta.node = newNode(world)
  meta.nextNumber = 1
}

/**
 * The household's UUID is taken by somebody else's: move it, whole, to a fresh one.
 *
 * Only while no server has acknowledged it. Returns the fresh UUID, or null if it did not move.
 */
export function moveHousehold(ground: Ground): Promise<string | null> {
  return write(
    ground,
    (writing) => {
      const { meta } = writing
      if (meta.householdName === null) {
        writing.isIdle = true
        return Promise.resolve(null)
      }
      meta.household = newId(ground.world)
      return Promise.resolve(meta.household)
    },
    { asSender: true },
  )
}
