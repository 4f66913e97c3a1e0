// Households that are not shown, and in which something waits to be sent: each is opened for as
// long as that takes. Nobody has to look at a household for his changes to reach the server.

import type { SyncStatus } from "../types"
import type { OpenHousehold, Painted } from "./OpenHousehold"
import type { Replica } from "./registry"

/** What an errand needs of an open household. */
export type Sending = Pick<OpenHousehold, "start" | "end" | "repaint">

/** What lies there that only this device has; see `Painted`. */
export type Waiting = Pick<Painted, "pendingCount" | "oldestMs" | "status">

export interface ErrandEvents {
  /** Open a household without showing it. Throws Trouble. */
  readonly open: (replica: Replica, painted: (painted: Painted) => void) => Promise<Sending>
  /** This waits there, and so it stands. */
  readonly counted: (household: string, waiting: Waiting) => void
}

/** Here nobody can do what these ask for: the errand ends, and is tried again another time. */
const STUCK: readonly SyncStatus["kind"][] = [
  "cannot_save",
  "update_needed",
  "signed_out",
  "blocked",
]

interface Errand {
  readonly over: Promise<void>
  readonly stop: () => void
}

export class Errands {
  private readonly running = new Map<string, Errand>() // by the id of the replica

  constructor(private readonly events: ErrandEvents) {}

  /** Look into these, and send what waits in them. */
  run(replicas: readonly Replica[]): void {
    for (const replica of replicas) {
      if (this.running.has(replica.id)) continue
      let stop: () => void = () => undefined
      const stopped = new Promise<void>((resolve) => {
        stop = resolve
      })
      const over = this.send(replica, stopped, stop)
        // What cannot be opened is told when somebody looks at it.
        .catch(() => undefined)
        .finally(() => this.running.delete(replica.id))
      this.running.set(replica.id, { over, stop })
    }
  }

  /** Leave it alone; it is going to be shown. Resolves when it is closed. */
  async leave(id: string): Promise<void> {
    const errand = this.running.get(id)
    errand?.stop()
    await errand?.over
  }

  async end(): Promise<void> {
    await Promise.all([...this.running.keys()].map((id) => this.leave(id)))
  }

  private async send(replica: Replica, stopped: Promise<void>, stop: () => void): Promise<void> {
    const { household } = replica
    const errand = { isOver: false }
    const open = await this.events.open(replica, (waiting) => {
      this.events.counted(household, waiting)
      if (waiting.pendingCount > 0 && !STUCK.includes(waiting.status.kind)) return
      errand.isOver = true
      stop()
    })
    try {
      open.repaint()
      if (!errand.isOver) open.start()
      await stopped
    } finally {
      await open.end()
    }
  }
}
