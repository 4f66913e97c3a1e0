// Whether the warning about changes that only this device has is to be seen, as time goes by.

import { storeToRefs } from "pinia"
import { computed, onScopeDispose, type Ref, ref, watch } from "vue"

import { keep, kept } from "../../kept"
import { useWebSocketStore } from "../../stores/webSocketStore"
import { daysWaited, isAtRisk } from "../../sync/risk"

const LOOK_EVERY_MS = 60_000
const PUT_OFF = "storage_warning_put_off"

export interface StorageRisk {
  readonly isShown: Readonly<Ref<boolean>>
  /** For how many whole days the oldest change has been waiting. */
  readonly days: Readonly<Ref<number>>
  /** Say no more about it for a while, in no tab. */
  readonly putOff: () => void
}

export function useStorageRisk(): StorageRisk {
  const { status, household, persistence, oldestMs } = storeToRefs(useWebSocketStore())
  const nowMs = ref(Date.now())
  const isShown = ref(false)
  const days = computed(() => daysWaited(oldestMs.value ?? nowMs.value, nowMs.value))
  let shownFor = ""

  function decide(): void {
    nowMs.value = Date.now()
    isShown.value = isAtRisk({
      nowMs: nowMs.value,
      persistence: persistence.value,
      oldestMs: oldestMs.value,
      putOffMs: Number(kept(PUT_OFF)) || null,
      status: status.value,
      wasShown: isShown.value && shownFor === household.value,
    })
    shownFor = household.value
  }

  function putOff(): void {
    keep(PUT_OFF, String(Date.now()))
    decide()
  }

  watch([status, household, persistence, oldestMs], decide, { immediate: true })
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    () => oldestMs.value !== null,
    (isWaiting) => {
      clearInterval(timer)
      if (isWaiting) timer = setInterval(decide, LOOK_EVERY_MS)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearInterval(timer)
  })
  return { isShown, days, putOff }
}

/** Whether the app was opened as one that is installed: its storage is not cleared after a week. */
export function isInstalled(): boolean {
  const { standalone } = navigator as { readonly standalone?: boolean } // of WebKit on phones
  return standalone === true || matchMedia("(display-mode: standalone)").matches
}
