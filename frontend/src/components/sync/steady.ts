// The status as it is shown: what passes at once is not shown at all, so that nothing flickers.

import { onScopeDispose, type Ref, shallowRef, watch } from "vue"

import { CONNECTING_SHOWN_MS } from "../../sync/status"
import type { SyncStatus } from "../../types"

/**
 * The latest status that has lasted long enough to be worth showing (`isSettled`).
 *
 * household: whose it is. What was true of one household says nothing about the next.
 */
export function useSteady(
  status: Readonly<Ref<SyncStatus>>,
  household: Readonly<Ref<string>>,
): Readonly<Ref<SyncStatus>> {
  const shown = shallowRef(status.value)
  let late: ReturnType<typeof setTimeout> | undefined
  const show = (next: SyncStatus) => {
    clearTimeout(late)
    late = undefined
    shown.value = next
  }
  watch([status, household], ([next, of], [, before]) => {
    // Within one kind it is only a number that moves.
    const isSame = next.kind === shown.value.kind
    if (next.isSettled || isSame || !shown.value.isSettled || of !== before) show(next)
    // A connection that comes and goes all the time settles never: the last word is not kept for it.
    else late ??= setTimeout(() => { show(status.value) }, CONNECTING_SHOWN_MS)
  })
  onScopeDispose(() => {
    clearTimeout(late)
  }, true)
  return shown
}
