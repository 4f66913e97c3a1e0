// The time, as long as somebody looks at it.

import { onScopeDispose, type Ref, ref, watch } from "vue"

/** Milliseconds since 1970; moves on each second while `isNeeded`. */
export function useNow(isNeeded: () => boolean): Ref<number> {
  const now = ref(Date.now())
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    isNeeded,
    (needed) => {
      clearInterval(timer)
      now.value = Date.now()
      if (!needed) return
      timer = setInterval(() => {
        now.value = Date.now()
      }, 1000)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearInterval(timer)
  })
  return now
}
