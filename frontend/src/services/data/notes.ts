// Who the device is, how far it has come, and other single notes.

import type { ResetReason, Role } from "../../sync/core/messages"

/**
 * Who this device is and how far it has come.
 *
 * user: whose replica it is, "" while nobody has signed in yet. householdName: of a household that was
 * born here, until a server has acknowledged it; wasBornHere: from then on. clock: the newest stamp
 * given or heard. offsetMs: server's clock minus this one's; offsetSamples: what it is the median of,
 * newest last. cursor, readSeq: how far the server has been read; with isWalking, what was read last
 * lies in the staging. cursorBefore: how far it had been when a reset was noted, until the snapshot's
 * first page. anchor: of the newest ack. reset: a reset that is not complete. isHealOpen: the server
 * waits for the end of the heal list. role, version: as last told. lease: the conversation that may
 * hear and send; another tab's later one ends it. revision: rises with every write. checkedMs: when it
 * was last up to date. Older stores lack what may be missing.
 */
export interface Meta {
  user: string
  household: string
  householdName: string | null
  wasBornHere?: boolean
  device: string
  node: string
  formerNodes: readonly string[]
  name: string
  app: string
  clock: string
  offsetMs: number
  offsetSamples: readonly number[]
  nextNumber: number
  cursor: string | null
  cursorBefore?: string | null
  readSeq: number
  isWalking: boolean
  anchor: string
  reset: ResetReason | null
  isHealOpen: boolean
  role: Role
  version: string
  lease: string
  revision: number
  checkedMs: number | null
}

export const DEVICE = "device"
export const ENTITIES = "entities"
