// The status as it is shown: what passes at once is not shown at all, so that nothing flickers.

import { onScopeDispose, type Ref, shallowRef, watch } from "vue"

import type { SyncStatus } from "../../types"

const SYNCING_AFTER_MS = 500
const CONNECTING_AFTER_MS = 2_000

/**
 * How long `next` has to last before it takes the place of `shown`.
 *
 * Bad news about this person's data is never held back, nor is green: it comes with evidence.
 */
export function patienceMs(shown: SyncStatus, next: SyncStatus): number {
  if (shown.kind === next.kind || next.isAmber) return 0
  if (next.kind === "syncing") return SYNCING_AFTER_MS
  // A connection that is lost and found again, with nothing waiting: a blink of the network.
  const isQuiet = shown.kind === "up_to_date" || shown.kind === "syncing"
  if (!isQuiet) return 0
  if (next.kind === "offline") return navigator.onLine ? CONNECTING_AFTER_MS : 0
  return next.kind === "unreachable" && next.count === 0 ? CONNECTING_AFTER_MS : 0
}

/** Follow `status`; lasts as long as the component that asks. */
export function useSteady(status: Ref<SyncStatus>): Ref<SyncStatus> {
  const shown = shallowRef(status.value)
  let timer: ReturnType<typeof setTimeout> | undefined
  let waitingFor: SyncStatus["kind"] | null = null

  function show(): void {
    clearTimeout(timer)
    waitingFor = null
    shown.value = status.value
  }

  watch(
    status,
    (next) => {
      const wait = patienceMs(shown.value, next)
      if (wait === 0) {
        show()
      } else if (waitingFor !== next.kind) {
        clearTimeout(timer)
        waitingFor = next.kind
        timer = setTimeout(show, wait)
      }
    },
    { flush: "sync" },
  )
  onScopeDispose(() => {
    clearTimeout(timer)
  })
  return shown
}
