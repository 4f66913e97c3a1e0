// The time for a countdown, as long as somebody looks at one.

import { onScopeDispose, type Ref, ref, watch } from "vue"

/** Milliseconds by the page's own clock, which nobody sets; moves on each second while `isNeeded`. */
export function useNow(isNeeded: () => boolean): Ref<number> {
  const now = ref(performance.now())
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    isNeeded,
    (needed) => {
      clearInterval(timer)
      now.value = performance.now()
      if (!needed) return
      timer = setInterval(() => {
        now.value = performance.now()
      }, 1000)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearInterval(timer)
  })
  return now
}
