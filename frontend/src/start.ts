// Starts the services, and lets the stores show what they say. Follows who is signed in and which
// household is open.

import type { Pinia } from "pinia"

import { provideServices } from "./services/ports"
import { Registry } from "./services/registry"
import { SessionService } from "./services/SessionService"
import { TenantService } from "./services/TenantService"
import { Trouble, trouble } from "./services/errors"
import type { OpenHousehold, Painted } from "./services/OpenHousehold"
import { useHouseholdStore } from "./stores/householdStore"
import { useLedgerStore } from "./stores/ledgerStore"
import { useSessionStore } from "./stores/sessionStore"
import { followTables } from "./stores/tables"
import { UNKNOWN, useWebSocketStore } from "./stores/webSocketStore"
import type { StorageTrouble, User } from "./types"

/** wanted: the household that the address names, if it does. Resolves when the stores show it. */
export async function start(pinia: Pinia, wanted: string | null = null): Promise<void> {
  const sync = useWebSocketStore(pinia)
  const session = useSessionStore(pinia)
  const households = useHouseholdStore(pinia)
  const ledger = useLedgerStore(pinia)
  const registry = new Registry()
  let hasAskedToKeep = false
  let owner: User | null = null // whose data was shown before somebody else came

  const sessions = new SessionService(registry, {
    changed: (state) => {
      if (session.user?.id !== state.user?.id) owner = session.user
      session.user = state.user
      session.isSignedIn = state.isSignedIn
      session.other = state.other
      session.signInUrl = state.signInUrl
      session.accountUrl = state.accountUrl
    },
    told: (told) => void quietly(() => tenants.hear(told.households, told.devices)),
    turned: () => void quietly(async () => tenants.open?.renew()),
  })

  const tenants = new TenantService(registry, {
    userId: () => sessions.userId,
    isSignedOut: () => sessions.state.isSignedIn === false,
    isOwn: (user) => sessions.isOwn(user),
    signedOut: () => {
      sessions.ended()
      void sessions.refresh()
    },
    askSession: () => sessions.refresh(),
    leftBehind: (pending) => {
      session.leftBehind = owner === null ? null : { owner, pending }
    },
    csrfToken: () => sessions.token,
    listed: (list, currentId) => {
      households.households = list
      households.currentId = currentId
    },
    painted: (painted) => {
      paint(sync, ledger, painted)
    },
    opened: (open) => {
      if (open === null) forget(sync)
      return watch(ledger, open)
    },
    evicted: (evicted) => {
      sync.evicted = evicted
    },
    firstEdit: () => {
      if (hasAskedToKeep) return
      hasAskedToKeep = true
      void askToKeep()
    },
  })

  async function askToKeep(): Promise<void> {
    await hearPersistence(() => navigator.storage.persist())
  }

  async function isKept(): Promise<void> {
    await hearPersistence(() => navigator.storage.persisted())
  }

  async function hearPersistence(ask: () => Promise<boolean>): Promise<void> {
    try {
      sync.persistence = (await ask()) ? "granted" : "refused"
    } catch {
      sync.persistence = "unknown" // a browser without, or a page without TLS
    }
  }

  /** The page's own errors are for its person to see, in the status. */
  async function quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      cannotSave(error)
    }
  }

  function cannotSave(error: unknown): void {
    if (!(error instanceof Trouble)) throw error
    const reason = REASONS[error.code]
    if (error.code === "newer_tab") {
      sync.status = { kind: "update_needed", by: "tab", isAmber: false, isSettled: true }
    } else if (reason !== undefined) {
      sync.status = { kind: "cannot_save", reason, isAmber: false, isSettled: true }
    }
    sync.lastError = error.message
  }

  const current = (): OpenHousehold => {
    if (tenants.open === null) throw trouble("no_household")
    return tenants.open
  }
  provideServices({
    get sync() {
      return current()
    },
    get edits() {
      return current()
    },
    households: tenants,
    session: {
      refresh: async () => {
        await sessions.refresh()
      },
      signOut: () => sessions.signOut(),
    },
  })

  try {
    await registry.open()
    for (const mark of await registry.evicted()) tenants.lose(mark)
    await registry.forgetEvicted()
    await sessions.recall()
    await tenants.recall(wanted)
  } catch (error) {
    cannotSave(error)
  }
  session.isReady = true
  void isKept()
  // Some browsers keep what belongs to an app that is installed.
  addEventListener("appinstalled", () => void askToKeep())
  void quietly(() => sessions.refresh({ takesOver: true }))
  document.addEventListener("visibilitychange", () => {
    // Perhaps signed in again in another tab, or as somebody else.
    if (document.visibilityState === "visible") void quietly(() => sessions.refresh())
  })
}

const REASONS: Readonly<Record<string, StorageTrouble>> = {
  storage_full: "full",
  storage_blocked: "blocked",
  storage_gone: "gone",
  storage_damaged: "damaged",
}

type SyncStore = ReturnType<typeof useWebSocketStore>
type LedgerStore = ReturnType<typeof useLedgerStore>

function paint(sync: SyncStore, ledger: LedgerStore, painted: Painted): void {
  sync.household = painted.household
  sync.status = painted.status
  sync.phase = painted.picture.phase
  sync.lastError = painted.picture.lastError
  sync.isLeader = painted.isLeader
  sync.lastSuccessMs = painted.lastSuccessMs
  sync.pendingCount = painted.pendingCount
  sync.oldestMs = painted.oldestMs
  sync.clockOffMs = painted.clockOffMs
  sync.pending = painted.pending
  sync.refused = painted.refused
  sync.overruled = painted.overruled
  sync.parked = painted.parked
  ledger.isLoaded = painted.isLoaded
}

/** No household is open: nothing of the one before may be seen. */
function forget(sync: SyncStore): void {
  sync.household = ""
  sync.status = UNKNOWN
  sync.pendingCount = 0
  sync.oldestMs = null
  sync.clockOffMs = 0
  sync.pending = []
  sync.refused = []
  sync.overruled = []
  sync.parked = []
  sync.devices = []
  sync.lastError = ""
  sync.lastSuccessMs = null
}

/** Let the ledger follow a household. */
async function watch(ledger: LedgerStore, open: OpenHousehold | null): Promise<void> {
  ledger.isLoaded = false
  if (open === null) {
    await followTables(null)
    return
  }
  ledger.entities = await open.data.entities()
  await followTables((entity, listener) => open.data.view.watch(entity, listener))
  open.repaint()
}
