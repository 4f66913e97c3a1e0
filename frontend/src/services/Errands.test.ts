import { beforeEach, expect, test, vi } from "vitest"

import type { SyncStatus } from "../types"
import { type ErrandEvents, Errands, type Sending } from "./Errands"
import type { Painted } from "./OpenHousehold"
import type { Replica } from "./registry"

const replica = (name: string): Replica => ({
  id: `${name}.anna`,
  user: "anna",
  household: name,
  name,
  role: "owner",
})
const HOME = replica("home")
const CLUB = replica("club")

const MADE_MS = Date.UTC(2026, 10, 19)

/** What lies on this device, and what was done with it, in order. */
let waiting: Record<string, number>
let refused: Record<string, number> // changes that wait for their person
let done: string[]
let counted: Record<string, number>
let oldest: Record<string, number | null>
let paint: Record<string, (status: SyncStatus["kind"], pendingCount: number) => void>

const events: ErrandEvents = {
  open: ({ household }, painted) => {
    done.push(`open ${household}`)
    paint[household] = (kind, pendingCount) => {
      const oldestMs = pendingCount + (refused[household] ?? 0) > 0 ? MADE_MS : null
      painted({ pendingCount, oldestMs, status: { kind } } as unknown as Painted)
    }
    return Promise.resolve<Sending>({
      repaint: () => paint[household]?.("connecting", waiting[household] ?? 0),
      start: () => done.push(`start ${household}`),
      end: () => {
        done.push(`end ${household}`)
        return Promise.resolve()
      },
    })
  },
  counted: (household, { pendingCount, oldestMs }) => {
    counted[household] = pendingCount
    oldest[household] = oldestMs
  },
}

beforeEach(() => {
  waiting = {}
  refused = {}
  done = []
  counted = {}
  oldest = {}
  paint = {}
})

const until = (what: string) =>
  vi.waitFor(() => {
    expect(done).toContain(what)
  })

test("what waits in a household that is not shown is sent, and counted until it is", async () => {
  waiting = { home: 2 }
  const errands = new Errands(events)
  errands.run([HOME, CLUB])
  await until("start home")
  await until("end club")
  expect(counted).toEqual({ home: 2, club: 0 })
  expect(done).not.toContain("start club")
  paint["home"]?.("syncing", 1)
  expect(counted["home"]).toBe(1)
  expect(done).not.toContain("end home")
  expect(oldest).toEqual({ home: MADE_MS, club: null })
  paint["home"]?.("up_to_date", 0)
  await until("end home")
  expect([counted["home"], oldest["home"]]).toEqual([0, null])
})

test("what was refused there is nowhere else either: how old it is is told, A09", async () => {
  refused = { home: 1 }
  const errands = new Errands(events)
  errands.run([HOME])
  await until("end home")
  expect(done).not.toContain("start home")
  expect([counted["home"], oldest["home"]]).toEqual([0, MADE_MS])
})

test("without a server it keeps on trying, and asked again it does not begin anew", async () => {
  waiting = { home: 1 }
  const errands = new Errands(events)
  errands.run([HOME])
  await until("start home")
  paint["home"]?.("unreachable", 1)
  paint["home"]?.("offline_pending", 1)
  errands.run([HOME])
  await errands.end()
  expect(done).toEqual(["open home", "start home", "end home"])
})

test.each(["signed_out", "blocked", "update_needed", "cannot_save"] as const)(
  "what is %s ends it, the changes stay counted, and another time it is tried again",
  async (kind) => {
    waiting = { home: 1 }
    const errands = new Errands(events)
    errands.run([HOME])
    await until("start home")
    paint["home"]?.(kind, 1)
    await until("end home")
    expect(counted["home"]).toBe(1)
    await errands.end()
    errands.run([HOME])
    await errands.end()
    expect(done.filter((each) => each === "open home")).toHaveLength(2)
  },
)

test("a household that is going to be shown is closed first", async () => {
  waiting = { home: 1 }
  const errands = new Errands(events)
  errands.run([HOME])
  await errands.leave(HOME.id)
  expect(done.at(-1)).toBe("end home")
})

test("what cannot be opened troubles nobody", async () => {
  const errands = new Errands({ ...events, open: () => Promise.reject(new Error("gone")) })
  errands.run([HOME])
  await errands.end()
  expect(counted).toEqual({})
})
