// What opens over the accounts: not needed to show them, so it is loaded right after.

export const DIALOGS = {
  account: () => import("./components/ledger/AccountForm.vue"),
  group: () => import("./components/ledger/GroupForm.vue"),
  household: () => import("./components/household/HouseholdForm.vue"),
  leave: () => import("./components/app/SignOutDialog.vue"),
  rescued: () => import("./components/app/RescuedDialog.vue"),
  remove: () => import("./components/household/RemoveForm.vue"),
  sync: () => import("./components/sync/SyncPanel.vue"),
} as const

const FETCHED_AFTER_MS = 1_000

/** Fetch them while nobody is waiting: they have to be here when the network is gone. */
export function fetchDialogs(): void {
  const fetchAll = () => {
    for (const load of Object.values(DIALOGS)) load().catch(() => undefined)
    import("sortablejs").catch(() => undefined)
  }
  // Safari has no idle callbacks; a busy machine is never idle.
  if ("requestIdleCallback" in window) requestIdleCallback(fetchAll, { timeout: FETCHED_AFTER_MS })
  else setTimeout(fetchAll, FETCHED_AFTER_MS)
}
