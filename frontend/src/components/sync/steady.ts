// The status as it is shown: what passes at once is not shown at all, so that nothing flickers.

import { type Ref, shallowRef, watch } from "vue"

import type { SyncStatus } from "../../types"

/** The latest status that has lasted long enough to be worth showing (`isSettled`). */
export function useSteady(status: Readonly<Ref<SyncStatus>>): Readonly<Ref<SyncStatus>> {
  const shown = shallowRef(status.value)
  watch(status, (next) => {
    // Within one kind it is only a number that moves.
    if (next.isSettled || next.kind === shown.value.kind || !shown.value.isSettled) {
      shown.value = next
    }
  })
  return shown
}
