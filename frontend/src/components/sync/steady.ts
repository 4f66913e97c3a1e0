// The status as it is shown: what passes at once is not shown at all, so that nothing flickers.

import { type Ref, shallowRef, watch } from "vue"

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
  watch([status, household], ([next, of], [, before]) => {
    // Within one kind it is only a number that moves.
    const isSame = next.kind === shown.value.kind
    if (next.isSettled || isSame || !shown.value.isSettled || of !== before) shown.value = next
  })
  return shown
}
