// A long list comes in pieces, so that no task holds the page up.

import { computed, type ComputedRef, onScopeDispose, shallowRef, watch } from "vue"

const PIECE = 60 // rows; more than a screen shows, and made within a frame or two on a slow phone

/**
 * How many rows of each list may be there by now: at first one piece, soon all of them, from the
 * first list to the last. Infinity: the whole list, however long it grows.
 */
export function useGradually(lengths: () => readonly number[]): ComputedRef<readonly number[]> {
  const made = shallowRef(PIECE)
  const total = computed(() => lengths().reduce((a, b) => a + b, 0))
  let timer: ReturnType<typeof setTimeout> | undefined

  watch(
    [made, total],
    () => {
      clearTimeout(timer)
      if (made.value >= total.value) return
      // A task of its own: what is there is painted meanwhile, and a key press heard.
      timer = setTimeout(() => {
        made.value += PIECE
      })
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearTimeout(timer)
  })

  return computed(() => {
    let left = made.value
    return lengths().map((length) => {
      const here = left
      left -= length
      return here >= length ? Infinity : Math.max(here, 0)
    })
  })
}
